"""What is handed on: an ONNX file that gives the same templates, and a card that says all."""

import hashlib
import json
from types import SimpleNamespace

import attrs
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mtlkit_face.inference import onnx_export
from mtlkit_face.inference.card import Licenses, model_card
from mtlkit_face.inference.onnx_export import export
from PIL import Image

from mtlkit.plugins import DataError, MissingExtraError
from mtlkit.runs.prediction import export_onnx


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """An ONNX file of each model."""
    folder = tmp_path_factory.mktemp("onnx")
    return {name: export(model, folder / f"{name}.onnx") for name, model in models.items()}


@pytest.mark.parametrize("name", ["s", "m", "p"])
def test_onnxruntime_gives_the_same_templates_for_any_number(models, exported, name):
    found = exported[name]
    assert list(found.differences) == ["1 image of noise", "7 images of noise"]
    assert max(found.differences.values()) <= 1e-4
    session = onnxruntime.InferenceSession(str(found.path), providers=["CPUExecutionProvider"])
    for count in (1, 2, 33):
        images = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8)
        (templates,) = session.run(["templates"], {"images": images.numpy()})
        assert (torch.from_numpy(templates) - models[name].embed(images)).abs().max() <= 1e-4


def test_the_file_says_whose_it_is_and_what_it_takes(models, exported):
    proto = onnx.load(exported["p"].path)
    header = json.loads({each.key: each.value for each in proto.metadata_props}["mtlkit-face"])
    assert header["fingerprint"] == models["p"].fingerprint
    (images,) = proto.graph.input
    sides = [side.dim_value or side.dim_param for side in images.type.tensor_type.shape.dim]
    assert sides == ["N", 1, 32, 32]
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.fixture
def again(exported, monkeypatch):
    """Exporting without tracing anew: the program is that of the s-CNN."""

    def program(graph, path):
        proto = onnx.load(exported["s"].path)
        del proto.metadata_props[:]
        return SimpleNamespace(model_proto=proto)

    monkeypatch.setattr(export_onnx, "program_of", program)


@pytest.mark.parametrize("far", [1e-3, float("nan")])
def test_a_file_that_differs_is_not_left(models, tmp_path, again, monkeypatch, far):
    path = tmp_path / "m.onnx"
    monkeypatch.setattr(export_onnx, "difference", lambda *given: far * (len(given[-1]) > 1))
    with pytest.raises(DataError) as caught:
        export(models["s"], path)
    images = "1 image" if far != far else "7 images"
    assert str(caught.value) == (
        f"{path}: not written: for {images} of noise the outputs of onnxruntime and PyTorch "
        f"differ by {far:.2g}, expected 0.0001 at most; try other versions of onnxruntime and torch"
    )
    assert list(tmp_path.iterdir()) == []


def test_images_of_ones_own_are_compared_as_well(models, people, tmp_path, again, monkeypatch):
    files = sorted(people.rglob("*.png"))[:5]
    asked = []
    monkeypatch.setattr(onnx_export, "CHUNK", 3)
    monkeypatch.setattr(
        export_onnx, "difference", lambda *given: asked.append(given[-1]) or 1e-6 * len(asked)
    )
    found = export(models["s"], tmp_path / "m.onnx", files)
    assert [len(images) for images in asked] == [1, 7, 1, 3, 1, 2]
    pixels = torch.stack([torch.from_numpy(np.array(Image.open(file)))[None] for file in files])
    assert torch.equal(torch.cat([asked[3], asked[5]]), pixels)
    assert found.differences == pytest.approx(
        {"1 image of noise": 1e-6, "7 images of noise": 2e-6, "5 given images": 6e-6}
    )
    card = model_card(models["s"], Licenses(), found)
    assert rows(card)["ONNX compared with PyTorch, 5 given images"] == "differs by 6e-06 at most"


def test_a_file_that_differs_for_an_image_of_ones_own_is_not_left(
    models, people, tmp_path, again, monkeypatch
):
    file = next(people.rglob("*.png"))
    pixels = torch.from_numpy(np.array(Image.open(file)))[None, None]
    monkeypatch.setattr(
        export_onnx, "difference", lambda *given: 0.25 * torch.equal(given[-1], pixels)
    )
    with pytest.raises(DataError, match="not written: for 1 given image the outputs"):
        export(models["s"], tmp_path / "m.onnx", [file])
    (tmp_path / "bad.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"bad\.png: is not an image of a supported format; expect"):
        export(models["s"], tmp_path / "m.onnx", [tmp_path / "bad.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["bad.png"]


def test_exporting_leaves_the_model_where_it_is(models, tmp_path, again, monkeypatch):
    """A model on a GPU is copied to the CPU, not moved there."""
    moved = []
    move = torch.nn.Module.cpu
    monkeypatch.setattr(torch.nn.Module, "cpu", lambda module: moved.append(module) or move(module))
    embedder = models["s"].embedder
    export(models["s"], tmp_path / "m.onnx")
    assert moved
    own = {id(module) for module in embedder.modules()}
    assert not own & {id(inner) for module in moved for inner in module.modules()}
    assert models["s"].embedder is embedder


def test_without_onnx_the_extra_is_named(models, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError) as caught:
        export(models["s"], tmp_path / "m.onnx")
    assert str(caught.value) == (
        "the export needs ONNX: onnxruntime is not installed; run `pip install 'mtlkit[onnx]'`"
    )


def rows(card):
    """Every row of two cells in a card."""
    cells = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in cells if len(row) == 2}


def test_the_card_says_what_the_run_knows(models, exported):
    model = models["p"]
    card = model_card(model, Licenses(weights="CC BY 4.0", data="mine | theirs"), exported["p"])
    found = rows(card)
    weights = hashlib.sha256((model.folder.path / "model.safetensors").read_bytes()).hexdigest()
    assert found["weights, SHA-256"] == f"`{weights}` (model.safetensors)"
    digest = hashlib.sha256(exported["p"].path.read_bytes()).hexdigest()
    assert found["ONNX, SHA-256"] == f"`{digest}` (p.onnx)"
    assert found["fingerprint of templates"] == f"`{model.fingerprint}`"
    assert found["weights"] == "CC BY 4.0"
    assert "| training data | mine \\| theirs |" in card
    assert found["input"] == "8-bit gray images of 32 x 32 pixels"
    assert found["images"] == "48"
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert {"`face/rank1`", "`face/eer`", "`face/threshold`", "yaw -45", "group left"} <= set(found)
    for words in ("Article 9", "2024/1689", "740 ILCS 14", "not legal advice", "presentation"):
        assert words in card
    assert str(model.folder.path.parent) not in card  # a card is passed on: no paths


def test_what_is_not_known_is_said_not_to_be(models):
    card = model_card(models["s"], Licenses())
    found = rows(card)
    unstated = "not stated; the trainer of the model must state it before passing the model on"
    assert found["weights"] == found["training data"] == unstated
    assert "The run does not record who is in the images" in card
    assert "ONNX" not in card


def test_rendered_faces_are_nobodys(models):
    from mtlkit_face.data.rendered import Rendered

    model = attrs.evolve(models["s"], recipe=attrs.evolve(models["s"].recipe, data=Rendered()))
    card = model_card(model, Licenses())
    assert rows(card)["training data"] == "CC0 1.0, rendered"
    assert "none is a photograph of a\nperson" in card
