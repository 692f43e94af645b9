"""Labels keep their value until they are centered, and their names are different and cheap."""

import math
import os
import time
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from mtlkit.backbones import VectorFeatures
from mtlkit.data import Categorical, Images, Loading, NumberTarget, Table
from mtlkit.errors import DataError
from mtlkit.heads import DeepCCA, Regression, VectorRegression
from mtlkit.metrics import MAE, R2


def loaded(tmp_path, text, **options):
    (tmp_path / "rows.csv").write_text(text)
    return Table(file="rows.csv", **options).load(Loading(base=tmp_path))


@pytest.mark.parametrize(("start", "step"), [(1_700_000_000, 1), (100_000_000, 0.01)])
def test_labels_that_are_large_and_differ_little_keep_their_differences(tmp_path, start, step):
    rows = "".join(f"{i % 7},{start + i * step!r}\n" for i in range(200))
    data = loaded(tmp_path, f"x,when\n{rows}", labels=("when",), numeric=("when",))
    targets = data.train.columns["when"].values
    expected = torch.tensor([start + i * step for i in range(200)], dtype=torch.float64)
    assert len(targets.unique()) == len(targets)
    assert set(targets.tolist()) <= set(expected.tolist())

    head = Regression().build(VectorFeatures(width=3), NumberTarget())
    head.fit_targets(targets)
    assert head.std.item() == pytest.approx(targets.std(correction=0).item(), rel=1e-9)
    features = torch.zeros(len(targets), 3)
    standard = (targets - targets.mean()) / targets.std(correction=0)
    torch.testing.assert_close(head.loss(features, targets), (standard**2 / 2).float())
    predictions = head(features)  # the mean: no better than chance
    scores = {}
    for metric in (R2(), MAE()):
        state = metric.build(NumberTarget())
        state.update(predictions, targets)
        scores[metric.name] = state.compute()
    assert scores["r2"] == pytest.approx(0, abs=1e-6)
    assert scores["mae"] == pytest.approx((targets - targets.mean()).abs().mean().item())


@pytest.mark.parametrize("options", [{"labels": ("y",)}, {"labels": ("y",), "features": ("x",)}])
def test_a_vocabulary_with_a_name_twice_is_refused(options):
    with pytest.raises(ValueError, match="vocabulary: y: expected different names, got 'r' twice"):
        Table(file="rows.csv", vocabulary={"y": ("r", "g", "b", "r")}, **options)


def test_a_column_with_a_name_twice_is_refused():
    with pytest.raises(DataError, match="expected different names of classes, got 'a' twice"):
        Categorical(torch.tensor([0]), ("a", "b", "a"))


@pytest.mark.parametrize("text", ["1_000", "\u0663", "1e3\u00a0x"])
def test_only_plain_numbers_are_numbers(tmp_path, text):
    rows = "".join(f"{i},{i}\n" for i in range(20))
    with pytest.raises(DataError, match="expected a number, got"):
        loaded(tmp_path, f"x,y\n{rows}3,{text}\n", labels=("y",), numeric=("y",))


def cpu_seconds(act):
    before = time.process_time()
    act()
    return time.process_time() - before


@pytest.mark.parametrize("config", [VectorRegression(), DeepCCA(components=1)])
@pytest.mark.parametrize(("start", "step"), [(1_700_000_000, 1), (100_000_000, 0.01)])
def test_vectors_keep_their_differences(tmp_path, start, step, config):
    rows = "".join(f"{i % 7},{i},{start + i * step!r}\n" for i in range(200))
    vectors = {"place": ("near", "far")}
    data = loaded(tmp_path, f"x,near,far\n{rows}", labels=(), vectors=vectors)
    column = data.train.columns["place"]
    targets = column[torch.arange(len(column))]
    assert targets.dtype == torch.float64
    assert len(targets[:, 1].unique()) == len(targets)

    head = config.build(VectorFeatures(width=3), column.target).eval()
    head.fit_targets(targets)
    features = torch.randn(len(targets), 3)
    small = head.loss(features, targets)
    centered = targets - targets.mean(dim=0)
    other = config.build(VectorFeatures(width=3), column.target).eval()
    other.load_state_dict(head.state_dict())
    other.fit_targets(centered)
    torch.testing.assert_close(small, other.loss(features, centered))
    with torch.no_grad():
        shifted = other(features) + targets.mean(dim=0)
        torch.testing.assert_close(head(features), shifted, rtol=0, atol=1e-5)


def test_columns_are_read_in_linear_time(tmp_path):
    def columns(count):
        names = ",".join(f"c{i}" for i in range(count))
        text = f"{names},y\n" + "".join(f"{'1,' * count}{'ab'[k % 2]}\n" for k in range(10))
        return loaded(tmp_path, text, labels=("y",))

    assert cpu_seconds(lambda: columns(20_000)) < 2  # 4 s if it were quadratic


@pytest.mark.parametrize("fixed", [True, False])
def test_classes_are_read_in_linear_time(tmp_path, fixed):
    def classes(count):
        names = tuple(f"k{i}" for i in range(count))
        text = "x,y\n" + "".join(f"{i},{name}\n" for i, name in enumerate(names))
        vocabulary = {"y": names} if fixed else {}
        return loaded(tmp_path, text, labels=("y",), vocabulary=vocabulary)

    assert cpu_seconds(lambda: classes(25_000)) < 2.5  # 4 s if it were quadratic


def test_standardization_is_that_of_each_column(tmp_path):
    rows = [(i % 5, 7, "" if i == 3 else i * 0.1) for i in range(30)]
    text = "a,flat,gap,y\n" + "".join(f"{a},{b},{c},{a % 2}\n" for a, b, c in rows)
    train = loaded(tmp_path, text, labels=("y",), fill=True).train.inputs.double()
    assert train[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert train[:, 0].std(correction=0).item() == pytest.approx(1)
    assert train[:, 1].abs().max() == 0
    known = train[:, 2][train[:, 2] != 0]
    assert math.isclose(known.std(correction=0).item(), 1, rel_tol=0.2)


def test_a_class_in_two_forms_of_unicode_is_refused(tmp_path):
    forms = [unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")]
    rows = "".join(f"{i},{forms[i % 2]}\n" for i in range(20))
    with pytest.raises(DataError, match=r"the label 'y' has the class .* in two forms of Unicode"):
        loaded(tmp_path, f"x,y\n{rows}", labels=("y",))


def test_a_nul_in_a_label_is_refused(tmp_path):
    rows = "".join(f"{i},a\n" for i in range(20))
    with pytest.raises(DataError, match=r"rows\.csv:22: the column 'y' has a NUL character"):
        loaded(tmp_path, f"x,y\n{rows}3,a\0b\n", labels=("y",))


def test_bytes_in_parquet_are_refused(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "y": pa.array([b"a", b"b"], pa.binary())})
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="the column 'y' holds bytes; expected text or numbers"):
        Table(file="rows.parquet", labels=("y",)).load(Loading(base=tmp_path))


@pytest.mark.parametrize("kind", ["a named pipe", "a folder"])
def test_a_table_that_is_no_file_is_named(tmp_path, kind):
    path = tmp_path / "rows.csv"
    os.mkfifo(path) if kind == "a named pipe" else path.mkdir()
    with pytest.raises(DataError, match=rf"data\.file: rows\.csv is {kind}; expected a file"):
        Table(file="rows.csv", labels=("y",)).load(Loading(base=tmp_path))


@pytest.mark.parametrize("place", ["../x.png", "a/../../x.png", "{absolute}"])
def test_images_outside_of_the_folder_are_refused(tmp_path, place):
    (tmp_path / "faces" / "a").mkdir(parents=True)
    place = place.format(absolute=tmp_path / "x.png")
    for path in [tmp_path / "x.png", *(tmp_path / "faces" / f"{i}.png" for i in range(20))]:
        Image.new("L", (4, 4)).save(path)
    rows = "".join(f"{i}.png,{i % 2}\n" for i in range(20))
    (tmp_path / "labels.csv").write_text(f"file,y\n{rows}{place},1\n")
    options = {"folder": tmp_path / "faces", "labels": tmp_path / "labels.csv", "size": 4}
    with pytest.raises(DataError, match=r"is outside of the folder \(listed at labels\.csv:22\)"):
        Images(**options).load(Loading())
    assert Images(**options, skip_bad=True).load(Loading()).summary["images"] == "20"
    assert Images(**options, outside=True).load(Loading()).summary["images"] == "21"
