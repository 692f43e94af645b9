"""Columns of a table under one label, and labels of pixels in files."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from mtlkit.data import (
    Images,
    LabelMaps,
    Loading,
    MultiLabelTarget,
    RandomSplit,
    Table,
    UnitVectorMapTarget,
    VectorTarget,
)
from mtlkit.errors import DataError

ROWS = """\
name,height,NR-AR,NR-AhR,x,y
a,1,1,0,0.5,2
b,2,,true,,3
c,3,0,no,1.5,4
"""


@pytest.fixture
def table(tmp_path):
    def load(text=ROWS, **options):
        (tmp_path / "rows.csv").write_text(text)
        options = {
            "labels": (),
            "multi_label": {"assays": ("NR-*",)},
            "vectors": {"place": ("x", "y")},
            "key": "name",
            "split": RandomSplit(validation=0, test=0),
            **options,
        }
        return Table(file=Path("rows.csv"), **options).load(Loading(base=tmp_path))

    return load


def test_columns_are_grouped_under_one_label(table):
    data = table()
    assays, place = data.train.column("assays"), data.train.column("place")
    assert assays.target == MultiLabelTarget(names=("NR-AR", "NR-AhR"))
    assert assays.rows.tolist() == [[1, 0], [-1, 1], [0, 0]]
    assert place.target == VectorTarget(names=("x", "y"))
    assert place.rows.nan_to_num(-1).tolist() == [[0.5, 2.0], [-1.0, 3.0], [1.5, 4.0]]
    assert data.train.inputs.shape == (3, 1)  # the height alone
    assert data.summary["assays"] == "2 columns: NR-AR, NR-AhR"


def test_pandas_writes_binary_labels_next_to_empty_cells_as_numbers(table, tmp_path):
    assays = table().train.column("assays").rows
    numbers = pandas.DataFrame(assays, columns=["NR-AR", "NR-AhR"]).replace(-1, np.nan)
    rows = pandas.read_csv(tmp_path / "rows.csv").assign(**numbers)
    text = rows.to_csv(index=False)
    assert "1.0" in text
    assert torch.equal(table(text).train.column("assays").rows, assays)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            ROWS.replace("true", "maybe"),
            {},
            "NR-AhR: expected 1, 0, true or false, or an empty "
            "cell for a missing label, got 'maybe'",
        ),
        (
            ROWS.replace("1.5", "far"),
            {},
            "rows.csv:4: x: expected a number, or an empty cell for a missing label, got 'far'",
        ),
        (ROWS, {"vectors": {"place": ("z",)}}, "data.vectors.place: the table has no column 'z'"),
        (ROWS, {"features": ("height", "x")}, "data.features: 'x' is a column of a label"),
    ],
)
def test_what_is_no_label_is_named(table, text, options, message):
    with pytest.raises(DataError) as caught:
        table(text, **options)
    assert message in str(caught.value)


@pytest.fixture
def maps(tmp_path):
    """Two images, and maps of classes, depth and normals of another size."""
    rng = np.random.default_rng(0)
    for name, array in {
        "train/a.png": rng.integers(0, 255, (4, 6, 3)),
        "train/b.png": rng.integers(0, 255, (8, 6, 3)),
        "trainannot/a.png": np.array([[0, 1, 11], [1, 0, 0]]),
        "trainannot/b.png": np.array([[0, 0, 0], [1, 1, 1]]),
        "normals/a.png": np.full((2, 3, 3), (128, 128, 255)),
        "normals/b.png": np.zeros((2, 3, 3)),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(array.astype(np.uint8)).save(tmp_path / name)
    (tmp_path / "depth").mkdir()
    np.save(tmp_path / "depth/a.npy", np.array([[1000, 0, 2000], [3000, 500, 0]]))
    np.save(tmp_path / "depth/b.npy", np.array([[1.0, np.nan, 2.0], [3.0, 4.0, 5.0]]))

    def load(ignore=("trainannot/*", "normals/*"), **options):
        options = {
            "ground": LabelMaps(
                files="{parent}annot/{stem}.png", classes=("sky", "road"), void=(11,)
            ),
            "depth": LabelMaps(files="depth/{stem}.npy", scale=0.001, void=(0,)),
            "normal": LabelMaps(files="normals/{stem}.png", normals=True),
            **options,
        }
        source = Images(
            folder=Path(),
            pattern="{split}/*.png",
            size=(2, 3),
            ignore=ignore,
            maps={name: value for name, value in options.items() if value is not None},
        )
        return source.load(Loading(base=tmp_path))

    return load


def test_maps_are_read_on_access_with_codes_of_void_as_missing(maps):
    train = maps().train
    index = torch.arange(2)
    ground, depth = train.column("ground"), train.column("depth")
    assert not isinstance(ground.rows, torch.Tensor)
    assert ground[index].tolist() == [[[0, 1, -1], [1, 0, 0]], [[0, 0, 0], [1, 1, 1]]]
    expected = torch.tensor([[[[1.0, -1.0, 2.0], [3.0, 0.5, -1.0]]]])
    torch.testing.assert_close(depth[index[:1]].nan_to_num(-1), expected)
    assert depth.target.weights(depth[index]).tolist() == [4.0, 5.0]
    normal = train.column("normal")
    assert normal.target == UnitVectorMapTarget()
    normal.target.check(normal[index])
    assert normal.present().tolist() == [True, False]
    assert ground.subset(torch.tensor([1]))[torch.tensor([0])].tolist() == [[[0] * 3, [1] * 3]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ground": LabelMaps(files="none/{stem}.png")}, "data.maps.ground: 2 of 2 images have no"),
        (
            {"ground": LabelMaps(files="{parent}annot/{stem}.png", classes=("sky", "road"))},
            "trainannot/a.png: got the code 11, expected 0 to 1, or a code of `void`",
        ),
        (
            {"ground": LabelMaps(files="normals/{stem}.png", classes=("sky",))},
            "normals/a.png: got labels of shape (3, 2, 3), expected one channel",
        ),
        (
            {"normal": LabelMaps(files="depth/{stem}.npy", normals=True)},
            "depth/a.npy: got labels of shape (1, 2, 3), expected 3 channels first, (3, H, W)",
        ),
        (
            {"ground": LabelMaps(files="depth/{stem}.npy", classes=("a",), void=(1,))},
            "depth/a.npy: got the code 1000, expected 0 to 0",
        ),
    ],
)
def test_maps_that_do_not_fit_are_named(maps, options, message):
    def read():
        return [column.present() for column in maps(**options).train.columns.values()]

    with pytest.raises(DataError) as caught:
        read()
    assert message in str(caught.value)


def test_a_map_of_another_aspect_ratio_than_its_image_is_named(maps, tmp_path):
    file = tmp_path / "trainannot" / "a.png"  # of an image of 4 x 6
    for height, width in ((4, 6), (8, 12), (3, 5), (2, 3)):
        Image.new("L", (width, height)).save(file)
        assert maps().train.column("ground")[torch.tensor([0])].shape == (1, 2, 3)
    Image.new("L", (4, 4)).save(file)
    with pytest.raises(
        DataError, match=r"a\.png: got labels of 4 x 4 pixels for an image of 4 x 6 \(a\.png\)"
    ):
        maps().train.column("ground")[torch.tensor([0])]
    turned = Image.new("RGB", (4, 6))
    turned.getexif()[0x0112] = 6  # shown as 4 x 6
    turned.save(tmp_path / "train" / "a.png", exif=turned.getexif())
    Image.new("L", (12, 8)).save(file)
    assert maps().train.column("ground")[torch.tensor([0])].shape == (1, 2, 3)


def test_files_of_maps_are_not_images(maps, tmp_path):
    assert maps(ignore=()).train.ids == maps().train.ids == ["train/a.png", "train/b.png"]
    (tmp_path / "normals" / "a.png").rename(tmp_path / "normals" / "c.png")
    with pytest.raises(DataError, match=r"normals/c.png: split: expected train, val"):
        maps(ignore=())


@pytest.mark.parametrize(
    "values", [np.full((2, 3), "a"), np.full((2, 3), 1j), np.zeros((0, 3)), np.array([])]
)
def test_a_map_has_real_numbers(maps, tmp_path, values):
    np.save(tmp_path / "depth/a.npy", values)
    with pytest.raises(DataError, match=r"depth/a.npy: got .* expected one real number or more"):
        maps().train.column("depth")[torch.tensor([0])]


@pytest.mark.parametrize("files", ["labels.png", "{kind}/{stem}.png", "{stem"])
def test_a_pattern_of_files_needs_fields(files):
    with pytest.raises(ValueError, match="files: expected"):
        LabelMaps(files=files)
