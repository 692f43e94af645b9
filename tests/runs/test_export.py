"""An exported model gives the predictions of the network, and states its preprocessing."""

import csv
import json
import random

import attrs
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors import safe_open

import mtlkit
from mtlkit.backbones import MLP, UNet
from mtlkit.cli import Session
from mtlkit.cli.commands.export import export as command
from mtlkit.data import Images, LabelMaps, Table
from mtlkit.errors import DataError, MissingExtraError
from mtlkit.heads import DenseRegression, Regression, Segmentation
from mtlkit.routers import MMoE
from mtlkit.runs import OnnxGraph, export_model, write_onnx
from mtlkit.runs.prediction import export_onnx as onnx_file
from mtlkit.runs.prediction.export import PredictionNetwork, random_inputs

TRAIN = mtlkit.Train(epochs=1, batch=16, threads=1, device="cpu")


def table(folder):
    rng = random.Random(0)
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "color", "side", "price"])
        for _ in range(60):
            x = rng.gauss(0, 1)
            rows.writerow([x, rng.choice(["red", "blue"]), "left" if x < 0 else "right", 1000 * x])
    return mtlkit.Recipe(
        data=Table(
            file=folder / "rows.csv",
            labels=("side", "price"),
            numeric=("price",),
            units={"price": "mm"},
        ),
        backbone=MLP(hidden=(8,)),
        router=MMoE(experts=2),
        tasks={"side": mtlkit.Task(), "price": mtlkit.Task(head=Regression())},
        train=TRAIN,
    )


def scenes(folder):
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"s_{number}.png")
        np.save(folder / f"s_{number}.npy", pixels[..., 0].astype(np.int64) // 128)
    maps = LabelMaps(files="{stem}.npy", classes=("dark", "bright"))
    depth = LabelMaps(files="{stem}.npy")
    return mtlkit.Recipe(
        data=Images(
            folder=folder, size=8, pattern="s_{number}.png", maps={"area": maps, "depth": depth}
        ),
        backbone=UNet(channels=4, depth=1),
        tasks={
            "area": mtlkit.Task(head=Segmentation()),
            "depth": mtlkit.Task(head=DenseRegression()),
        },
        train=attrs.evolve(TRAIN, batch=4),
    )


@pytest.fixture(scope="module", params=[table, scenes])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = mtlkit.fit(request.param(folder), folder / "run", quiet=True, report=False)
    return mtlkit.load_model(run.path)


def expected(model, count):
    with torch.no_grad():
        return PredictionNetwork(model.network)(random_inputs(model, count))


def test_onnxruntime_gives_the_predictions_for_any_number_of_samples(model, tmp_path):
    exported = export_model(model, tmp_path / "m.onnx")
    assert list(exported.differences) == ["1 random input", "7 random inputs"]
    assert max(exported.differences.values()) <= 1e-4
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == list(model.network.tasks)
    for count in (1, 2, 33):
        outputs = session.run(None, {"inputs": random_inputs(model, count).numpy()})
        for one, other in zip(outputs, expected(model, count), strict=True):
            scale = max(1.0, float(other.abs().max()))
            torch.testing.assert_close(torch.from_numpy(one), other, atol=1e-4 * scale, rtol=0)
    entries = onnx.load(exported.path).metadata_props
    facts = json.loads({entry.key: entry.value for entry in entries}["mtlkit"])
    assert facts["recipe"] == model.folder.recipe.read_text()
    assert facts["preprocessing"] == model.preprocessing
    assert list(facts["targets"]) == list(model.network.tasks)


@pytest.mark.parametrize("model", [scenes], indirect=True)
def test_a_program_of_torch_gives_the_predictions(model, tmp_path):
    exported = export_model(model, tmp_path / "m.pt2")
    assert max(exported.differences.values()) <= 1e-4
    files = {"mtlkit.json": ""}
    program = torch.export.load(exported.path, extra_files=files).module()
    for one, other in zip(program(random_inputs(model, 5)), expected(model, 5), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert json.loads(files["mtlkit.json"])["preprocessing"] == model.preprocessing


def test_weights_and_card(model, tmp_path):
    path = tmp_path / "m.safetensors"
    done = CliRunner().invoke(
        command, [str(model.folder.path), "--out", str(path), "--license", "CC0"], obj=Session()
    )
    assert done.output == f"model: {path}\ncard:  {tmp_path / 'm.md'}\n"
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == set(model.network.state_dict())
        facts = json.loads(file.metadata()["mtlkit"])
    assert facts["preprocessing"] == model.preprocessing
    card = (tmp_path / "m.md").read_text()
    assert "| license | CC0 |" in card
    for name in mtlkit.runs.Run(model.folder.path).metrics:
        assert f"| {name} | " in card
    if "price" in model.network.tasks:
        assert "| column color | one-hot: blue, red |" in card
        assert "| price | a number in mm |" in card


@pytest.mark.parametrize("model", [table], indirect=True)
def test_files_of_the_run_are_not_overwritten(model):
    folder = model.folder
    for path in (folder.model, *folder.checkpoints.glob("*/*.safetensors")):
        before = path.read_bytes()
        with pytest.raises(DataError, match=r"not written: it belongs to the run; choose another"):
            export_model(model, path)
        assert path.read_bytes() == before


def test_what_differs_is_not_left(tmp_path, monkeypatch):
    graph = OnnxGraph(
        module=torch.nn.Linear(2, 1).eval(), example=torch.zeros(2, 2), outputs=("y",)
    )
    monkeypatch.setattr(onnx_file, "difference", lambda *_: float("nan"))
    path = tmp_path / "m.onnx"
    with pytest.raises(DataError) as caught:
        write_onnx(graph, path, [("1 random input", torch.zeros(1, 2))])
    assert str(caught.value) == (
        f"{path}: not written: for 1 random input the outputs of onnxruntime and PyTorch differ by "
        f"nan, expected 0.0001 at most; try other versions of onnxruntime and torch"
    )
    assert not list(tmp_path.iterdir())


def test_a_module_that_cannot_be_traced_is_named(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, inputs):
            return inputs if inputs.sum() > 0 else -inputs

    graph = OnnxGraph(module=Odd().eval(), example=torch.zeros(2, 2), outputs=("y",))
    with pytest.raises(DataError, match=r"m.onnx: not written: torch cannot export the network to"):
        write_onnx(graph, tmp_path / "m.onnx", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", [table], indirect=True)
def test_another_suffix_and_a_missing_extra_are_refused(model, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"m.pb: expected a name that ends in .onnx, .pt2, .safet"):
        export_model(model, tmp_path / "m.pb")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError) as caught:
        export_model(model, tmp_path / "m.onnx")
    assert str(caught.value) == (
        "the export needs ONNX: onnxruntime is not installed; run `pip install 'mtlkit[onnx]'`"
    )
