"""A trained model applied to new samples: the numbers of its evaluation, from raw rows."""

import csv
import io
import json
import math
import random
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from pyarrow import parquet

import mtlkit
from mtlkit.backbones import MLP, UNet
from mtlkit.cli import Session, main
from mtlkit.cli.commands.predict import predict as command
from mtlkit.data import Images, LabelMaps, Loading, RandomSplit, Table
from mtlkit.errors import DataError, RunError
from mtlkit.heads import DenseRegression, MultiLabel, Regression, Segmentation, VectorRegression
from mtlkit.optim import AdamW
from mtlkit.runs import SamplePredictions, load_trained
from mtlkit.runs.prediction.write_predictions import write_predictions

NAMES = ["name", "split", "x", "far", "color", "kind", "price", "top", "low", "wet", "hot"]


def cells(number):
    rng = random.Random(number)
    x, far = rng.gauss(0, 1), rng.gauss(5000, 2000)
    color = rng.choice(["red", "blue", "green"])
    split = ["train", "train", "validation", "test"][number % 4]
    kind = "left" if x < 0 else "right"
    price = 100 * x + far
    return [f"r{number}", split, x, far, color, kind, price, x, -x, int(x > 0), int(far > 5000)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table with every type of target that a table has."""
    folder = tmp_path_factory.mktemp("table")
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([NAMES, *(cells(number) for number in range(80))])
    recipe = mtlkit.Recipe(
        data=Table(
            file=folder / "rows.csv",
            labels=("kind", "price"),
            numeric=("price",),
            units={"price": "mm", "place": "m"},
            vectors={"place": ("top", "low")},
            multi_label={"weather": ("wet", "hot")},
            key="name",
        ),
        backbone=MLP(hidden=(16,)),
        tasks={
            "kind": mtlkit.Task(),
            "price": mtlkit.Task(head=Regression()),
            "place": mtlkit.Task(head=VectorRegression()),
            "weather": mtlkit.Task(head=MultiLabel()),
        },
        optimizer=AdamW(lr=0.01),
        train=mtlkit.Train(epochs=3, batch=16, threads=1, device="cpu"),
    )
    return mtlkit.fit(recipe, folder / "run", quiet=True, report=False)


@pytest.fixture
def rows(run, tmp_path):
    """Write a table of new rows: columns without labels, with changes."""

    def write(count=3, change=lambda row: row, name="new.csv"):
        path = tmp_path / name
        new = [
            change(dict(zip(NAMES[2:5], cells(number)[2:5], strict=True)))
            for number in range(100, 100 + count)
        ]
        pd.DataFrame(new).to_csv(path, index=False)
        return path

    return write


def test_raw_rows_of_the_test_split_give_the_numbers_of_its_evaluation(run):
    predicted = mtlkit.predict(run.path, run.path.parent / "rows.csv")
    truth = {row[0]: row for row in map(cells, range(80))}
    test = [row for row in predicted.rows() if truth[row["id"]][1] == "test"]
    assert len(test) == 20
    errors = [row["price"] - truth[row["id"]][6] for row in test]
    rmse = math.sqrt(sum(error**2 for error in errors) / len(errors))
    assert rmse == pytest.approx(run.metrics["test/price/rmse"], rel=1e-6)
    right = np.mean([row["kind"] == truth[row["id"]][5] for row in test])
    assert right == pytest.approx(run.metrics["test/kind/accuracy"])


def test_predictions_equal_the_outputs_of_the_network(run):
    trained = load_trained(run.path, Loading())
    outputs = trained.predict(trained.data.test).outputs
    ids = list(trained.data.test.ids)
    by_id = {
        row["id"]: row for row in mtlkit.predict(run.path, run.path.parent / "rows.csv").rows()
    }
    rows = [by_id[id_] for id_ in ids]
    shown = torch.tensor([[r["kind/probability/left"], r["kind/probability/right"]] for r in rows])
    torch.testing.assert_close(shown, outputs["kind"].softmax(1))
    assert [row["kind/probability"] for row in rows] == shown.max(1).values.tolist()
    place = torch.tensor([[row["place/top"], row["place/low"]] for row in rows])
    torch.testing.assert_close(place, outputs["place"].float())
    weather = outputs["weather"].sigmoid()
    assert [row["weather/wet"] for row in rows] == (weather[:, 0] > 0.5).tolist()
    hot = torch.tensor([row["weather/probability/hot"] for row in rows])
    torch.testing.assert_close(hot, weather[:, 1])
    assert {row["price/unit"] for row in rows} == {"mm"}
    assert {row["place/unit"] for row in rows} == {"m"}


def test_rows_in_memory_give_the_predictions_of_the_file(run, rows):
    path = rows()
    model = mtlkit.load_model(run.path)
    expected = model(path)
    frame = pd.read_csv(path)
    for given in (
        frame,
        frame.set_index(pd.Index([5, 6, 9])),
        frame.to_dict("records"),
        frame.to_dict("list"),
    ):
        predicted = model(given, batch=2)
        assert predicted.ids == ["row 1", "row 2", "row 3"]
        for name, column in expected.columns.items():
            assert predicted.columns[name] == (
                column if isinstance(column[0], str | bool) else pytest.approx(column, rel=1e-5)
            )
    assert expected.ids == ["new.csv:2", "new.csv:3", "new.csv:4"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda row: {"x": row["x"], "color": "red"},
            "new.csv:2: no column 'far'; expected the columns: x, far, color",
        ),
        (
            lambda row: {**row, "fare": 1},
            "new.csv:2: the column 'fare' is not in the training table; did you mean 'far'?; "
            "remove or rename it",
        ),
        (
            lambda row: {**row, "color": "pink"},
            "new.csv:2: the column 'color' is 'pink', which no training row has; expected one of "
            "blue, green, red, or train with `fill: true`",
        ),
        (
            lambda row: {**row, "x": "wide"},
            "new.csv:2: the column 'x' is 'wide', expected a number as in training",
        ),
        (
            lambda row: {**row, "x": None},
            "new.csv:2: the column 'x' is empty, as in 2 other rows; complete it, or train with "
            "`fill: true`",
        ),
        (
            lambda row: {**row, "x": "inf"},
            "new.csv:2: the column 'x' is 'inf', expected a finite number; correct or remove the "
            "row",
        ),
    ],
)
def test_rows_unlike_those_of_training_are_refused_by_name(run, rows, change, message):
    with pytest.raises(DataError) as caught:
        mtlkit.predict(run.path, rows(change=change))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            torch.zeros(2, 5),
            "rows: got tensors, expected rows as in the training table, whose "
            "columns Table normalizes; pass a table, or call `.network`",
        ),
        (
            3,
            "rows: got int, expected the path of a table, a list of mappings, a mapping of "
            "columns, or a data frame",
        ),
        ([], "rows: got no rows, expected one or more"),
        (
            {"x": [1, 2], "y": [1]},
            "rows: got columns of {'x': 2, 'y': 1} rows, expected one number of rows",
        ),
        ("none.csv", "none.csv: no such file; expected a table in CSV or Parquet"),
    ],
)
def test_rows_of_another_form_are_refused(run, given, message):
    with pytest.raises(DataError) as caught:
        mtlkit.predict(run.path, given)
    assert str(caught.value) == message


def called(*arguments):
    return CliRunner().invoke(
        command, list(map(str, arguments)), obj=Session(), catch_exceptions=False
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_the_command_writes_what_python_returns(run, rows, tmp_path, suffix):
    path, out = rows(), tmp_path / f"out.{suffix}"
    done = called(run.path, path, "--out", out, "--device", "cpu")
    assert done.output == f"3 predictions: {out}\n"
    expected = mtlkit.predict(run.path, path).rows()
    if suffix == "csv":
        assert called(run.path, path, "--device", "cpu").output == out.read_text()
        written = [
            dict(zip(expected[0], row.values(), strict=True))
            for row in csv.DictReader(out.read_text().splitlines())
        ]
        expected = [{name: str(cell) for name, cell in row.items()} for row in expected]
    elif suffix == "parquet":
        written = parquet.read_table(out).to_pylist()
    else:
        written = json.loads(out.read_text())
    assert written == expected


def test_a_pipe_gets_the_text_of_ids_and_a_terminal_its_escapes(run, monkeypatch, capsys):
    """Ids and classes are joined with other tables by their text."""
    ids = ["=1+1", "a\x1b[31m\r\nb", 'caf\u00e9,"x"']
    part = SamplePredictions(ids=ids, columns={"kind": ["-", "@x", "y"]}, maps={})
    monkeypatch.setattr(
        "mtlkit.runs.prediction.predict.load_model", lambda *_, **__: lambda *_, **__: part
    )

    def printed():
        with pytest.raises(SystemExit):
            main(["predict", str(run.path), "x"])
        return capsys.readouterr().out

    rows = list(csv.reader(io.StringIO(printed(), newline="")))
    assert rows == [["id", "kind"], *map(list, zip(ids, part.columns["kind"], strict=True))]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    *first, last = printed().splitlines()
    assert first == ["id,kind", "'=1+1,'-", "a\\x1b[31m\\r\\nb,'@x"]
    assert last == '"caf\u00e9,""x""",y'


def test_another_device_is_refused(run):
    with pytest.raises(RunError, match=r"device: expected one of auto, cpu, cuda, .*got 'tpu'"):
        mtlkit.load_model(run.path, device="tpu")


def test_the_name_of_a_task_is_not_a_path(tmp_path):
    maps = {"/a": torch.zeros(1, 2, 2, dtype=torch.int64)}
    part = SamplePredictions(ids=["x"], columns={}, maps=maps)
    write_predictions([part], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "id,/a\nx,out_maps/%2Fa/000001.png\n"
    assert (tmp_path / "out_maps" / "%2Fa" / "000001.png").is_file()


def test_another_suffix_is_refused_before_the_work(run, rows, tmp_path):
    with pytest.raises(DataError, match=r"out.txt: expected a name that ends in .csv, .parquet or"):
        called(run.path, rows(), "--out", tmp_path / "out.txt")


def test_the_input_is_not_overwritten(run, rows):
    path = rows()
    with pytest.raises(DataError, match=r"new.csv: not written: it is the input; choose another"):
        called(run.path, path, "--out", path)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A run on images with a class and a depth of each pixel."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"s_{number:02d}.png")
        Image.fromarray((pixels[..., 0] > 128).astype(np.uint8)).save(folder / f"m{number:02d}.png")
        np.save(folder / f"{number:02d}.npy", pixels[..., 1].astype(np.float32))
    for number in range(12):
        (folder / f"s_{number:02d}_area.png").write_bytes(
            (folder / f"m{number:02d}.png").read_bytes()
        )
        (folder / f"m{number:02d}.png").unlink()
        (folder / f"{number:02d}.npy").rename(folder / f"s_{number:02d}.npy")
    recipe = mtlkit.Recipe(
        data=Images(
            folder=folder,
            size=(8, 8),
            pattern="s_{number}.png",
            ignore=("*_area.png",),
            maps={
                "area": LabelMaps(files="{stem}_area.png", classes=("dark", "bright")),
                "depth": LabelMaps(files="{stem}.npy"),
            },
            split=RandomSplit(validation=0.25, test=0.25),
        ),
        backbone=UNet(channels=4, depth=1),
        tasks={
            "area": mtlkit.Task(head=Segmentation()),
            "depth": mtlkit.Task(head=DenseRegression()),
        },
        train=mtlkit.Train(epochs=1, batch=4, threads=1, device="cpu"),
    )
    return mtlkit.fit(recipe, folder / "run", quiet=True, report=False)


def test_maps_are_files_next_to_the_table(scenes, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    for path in sorted(scenes.path.parent.glob("s_0?.png"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    model = mtlkit.load_model(scenes.path)
    predicted = model(folder)
    assert list(predicted.ids) == ["s_00.png", "s_01.png", "s_02.png"]
    outputs = model.network(model.split(folder).inputs).outputs
    assert torch.equal(predicted.maps["area"], outputs["area"].argmax(1))
    torch.testing.assert_close(predicted.maps["depth"], outputs["depth"].detach())
    out = tmp_path / "out.json"
    called(scenes.path, folder, "--out", out, "--device", "cpu")
    written = json.loads(out.read_text())
    assert written[1] == {
        "id": "s_01.png",
        "area": "out_maps/area/000002.png",
        "depth": "out_maps/depth/000002.npy",
    }
    area = np.asarray(Image.open(tmp_path / written[1]["area"]))
    assert np.array_equal(area, predicted.maps["area"][1])
    assert np.array_equal(np.load(tmp_path / written[1]["depth"]), predicted.maps["depth"][1])
    with pytest.raises(DataError, match="new: the task 'area' predicts maps; set --out"):
        called(scenes.path, folder)


def test_images_are_read_from_a_file_a_list_and_a_table(scenes, tmp_path):
    names = ["s_03.png", "s_04.png"]
    paths = [scenes.path.parent / name for name in names]
    for path in paths:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    pd.DataFrame({"file": names}).to_csv(tmp_path / "list.csv", index=False)
    model = mtlkit.load_model(scenes.path)
    listed, tabled = model([str(path) for path in paths]), model(tmp_path / "list.csv")
    one = model(paths[1])
    assert torch.equal(listed.maps["area"], tabled.maps["area"])
    assert torch.equal(one.maps["area"], tabled.maps["area"][1:])
    assert (one.ids, tabled.ids) == (["s_04.png"], names)
    pixels = model.split(tmp_path / "list.csv").inputs
    assert torch.equal(model(pixels).maps["area"], tabled.maps["area"])


def test_images_that_cannot_be_read_are_refused(scenes, tmp_path):
    model = mtlkit.load_model(scenes.path)
    with pytest.raises(DataError, match=r"no image in it; expected files that end in \.bmp, "):
        model(tmp_path)
    (tmp_path / "bad.png").write_bytes(b"junk")
    with pytest.raises(DataError) as caught:
        model(tmp_path)
    assert str(caught.value) == (
        "1 of 1 images cannot be used; repair or remove them:\n"
        "  bad.png: is not an image of a supported format"
    )
    with pytest.raises(DataError) as caught:
        model(torch.zeros(1, 3, 9, 8, dtype=torch.uint8))
    assert str(caught.value) == (
        "inputs: got samples of shape (3, 9, 8) in uint8, expected (3, 8, 8) in uint8, as in "
        "training"
    )
    (tmp_path / "list.csv").write_text("file\n../bad.png\n")
    with pytest.raises(DataError, match=r"list.csv:2: \.\./bad.png is outside of the table's fol"):
        model(tmp_path / "list.csv")
