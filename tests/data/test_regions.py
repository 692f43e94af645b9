"""Boxes and landmarks: the part of an image that fills the frame."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from mtlkit.data import Boxes, Frame, Images, Landmarks, Loading, RandomSplit, decode
from mtlkit.data.frame import AlignedRegion, BoxRegion
from mtlkit.data.imaging.region_tables import FACE
from mtlkit.data.similarity_transform import Similarity
from mtlkit.errors import DataError

WAVES = np.add.outer(
    80 * np.sin(np.linspace(0, 9, 300)), 40 * np.cos(np.linspace(0, 7, 400))
) + 127  # fmt: skip


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(WAVES.astype(np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def table(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def landmarks(transform, names=tuple(FACE), size=(48, 40)):
    """The points of an image that a similarity moves to those of the template."""
    target = np.array([FACE[name] for name in names]) * size - 0.5
    z = (target[:, 0] + 1j * target[:, 1] - transform.t) / transform.w
    return {name: (float(p.real), float(p.imag)) for name, p in zip(names, z, strict=True)}


def test_a_box_has_the_shape_of_the_frame(picture):
    frame = Frame(20, 40, 1)
    cut = decode(picture, frame, region=BoxRegion(100, 50, 20, 20))
    expected = WAVES[50:70, 90:130]
    assert np.abs(cut[0] - expected).max() <= 1.5  # no resizing: the rounded pixels
    wide = decode(picture, frame, region=BoxRegion(100, 50, 80, 20, margin=0.25))
    assert BoxRegion(100, 50, 80, 20, margin=0.25).corners(frame) == (80, 30, 200, 90)
    assert wide.shape == (1, 20, 40)
    outside = decode(picture, frame, region=BoxRegion(-20, 0, 40, 20))
    assert not outside[0, :, :20].any()
    with pytest.raises(DataError, match="its box lies outside of the 400 x 300 picture"):
        decode(picture, frame, region=BoxRegion(500, 0, 40, 20))


@pytest.mark.parametrize("reduce", [False, True])
def test_regions_of_a_reduced_jpeg_are_those_of_the_whole(tmp_path, reduce):
    Image.fromarray(WAVES.astype(np.uint8)).resize((1600, 1200)).save(
        tmp_path / "a.jpg", quality=95
    )
    frame = Frame(50, 50, 1, reduce=reduce)
    regions = (
        BoxRegion(400, 200, 800, 800),
        AlignedRegion(Similarity(0.05 + 0.01j, -10 - 8j, 0.0)),
    )
    whole = np.asarray(Image.fromarray(WAVES.astype(np.uint8)).resize((1600, 1200)))
    Image.fromarray(whole).save(tmp_path / "a.png")
    for region in regions:
        exact = decode(tmp_path / "a.png", frame, region=region).astype(int)
        result = decode(tmp_path / "a.jpg", frame, region=region).astype(int)
        assert np.abs(result - exact).mean() < 2


@pytest.mark.parametrize("missing", [(), ("nose",), ("left_eye", "mouth_left"), ("left_eye",)])
def test_landmarks_align_with_missing_points(tmp_path, picture, missing):
    """The same region, whichever points of a half face are known."""
    move = Similarity(0.2 + 0.05j, -20 - 10j, 0.0)
    frame = Frame(40, 48, 1)
    points = landmarks(move)
    names = [f"{name}_{axis}" for name in FACE for axis in "xy"]
    cells = ["" if name in missing else f"{value:.9f}" for name in FACE for value in points[name]]
    path = table(tmp_path / "points.csv", ["file", *names], ["a.png", *cells])
    regions, faults = Landmarks(table=path).regions(path, ["a.png"], frame)
    assert not faults
    assert regions[0].transform.w == pytest.approx(move.w, abs=1e-6)
    result = decode(picture, frame, region=regions[0]).astype(int)
    expected = decode(picture, frame, region=AlignedRegion(move)).astype(int)
    assert np.abs(result - expected).max() <= 1


def test_five_and_68_numbered_points_and_own_templates(tmp_path):
    move = Similarity(0.2 + 0.05j, -20 - 10j, 0.0)
    frame = Frame(40, 48, 1)
    five = [*landmarks(move).values()]
    parts = {0: range(36, 42), 1: range(42, 48), 2: [30], 3: [48], 4: [54]}
    many = np.full((68, 2), 5.0)
    for number, part in parts.items():
        many[list(part)] = five[number]
    for points in (np.array(five), many):
        header = [f"{axis}{n + 1}" for n in range(len(points)) for axis in "xy"]
        path = table(tmp_path / "p.csv", ["file", *header], ["a.png", *points.ravel()])
        (region,), _ = Landmarks(table=path).regions(path, ["a.png"], frame)
        assert region.transform.w == pytest.approx(move.w, abs=1e-6)
    path = table(tmp_path / "p.csv", ["file", "tip_x", "tip_y", "end_x", "end_y"],
                 ["a.png", 10, 10, 20, 10])  # fmt: skip
    own = Landmarks(table=path, template={"tip": (0.25, 0.5), "end": (0.75, 0.5)})
    (region,), _ = own.regions(path, ["a.png"], frame)
    assert region.transform.scale == pytest.approx(2.4)


def test_faults_and_wrong_tables(tmp_path):
    frame = Frame(40, 48, 1)
    path = table(tmp_path / "b.csv", ["file", "left", "top", "width", "height"],
                 ["a", 1, 2, 3, 4], ["b", "", "", "", ""], ["c", 1, 1, 0, 3],
                 ["d", 1, 1, "x", 3])  # fmt: skip
    regions, faults = Boxes(table=path, margin=0.5).regions(path, [*"abcde"], frame)
    assert regions[0] == BoxRegion(1, 2, 3, 4, 0.5)
    assert faults == {
        1: "has no box (b.csv:3)",
        2: "has a box of 0 x 3 pixels (b.csv:4)",
        3: "b.csv:5: width: got 'x', expected a number",
        4: "has no row in b.csv",
    }
    path = table(tmp_path / "l.csv", ["file", "nose_x", "nose_y", "left_eye_x", "left_eye_y"],
                 ["a", 1, 2, "", ""], ["b", "", "", "", ""])  # fmt: skip
    _, faults = Landmarks(table=path).regions(path, [*"ab"], frame)
    assert faults == {0: "has 1 of 5 points, expected two or more", 1: "has no points (l.csv:3)"}
    for rows, message in (
        ((["file", "left"], ["a", 1]), "got no column 'top', expected file, left, top"),
        ((["file", "left", "top", "width", "height"], ["a"] + [1] * 4, ["a"] + [2] * 4),
         "'a' is already listed at b.csv:2; keep one row"),
    ):  # fmt: skip
        path = table(tmp_path / "b.csv", *rows)
        with pytest.raises(DataError, match=message):
            Boxes(table=path).regions(path, ["a"], frame)
    path = table(tmp_path / "l.csv", ["file", "x1", "y1"], ["a", 1, 2])
    with pytest.raises(DataError, match="expected left_eye_x, left_eye_y,"):
        Landmarks(table=path).regions(path, ["a"], frame)


def source(folder, **options):
    return Images(
        folder=folder, pattern="{name}_{kind}.png", size=(20, 40), channels=1,
        split=RandomSplit(validation=0, test=0.5), **options,
    )  # fmt: skip


@pytest.mark.parametrize("memory", ["auto", 0])
def test_images_are_cut_out(tmp_path, memory):
    rows = []
    for number, kind in enumerate("abab"):
        Image.fromarray(np.roll(WAVES, 10 * number, 1).astype(np.uint8)).save(
            tmp_path / f"{number}_{kind}.png"
        )
        rows.append([f"{number}_{kind}.png", 60 + 10 * number, 50, 40, 20])
    header = ["file", "left", "top", "width", "height"]
    path = table(tmp_path / "boxes.csv", header, *rows)
    data = source(tmp_path, boxes=Boxes(table=path), memory=memory).load(Loading(workers=1))
    assert data.frame == Frame(20, 40, 1)
    expected = WAVES[50:70, 60:100]
    for split in (data.train, data.test):
        pixels = split.inputs[torch.arange(2)]
        assert np.abs(pixels.numpy()[:, 0] - expected).max() <= 1.5
    table(path, header, *rows[:-1])
    with pytest.raises(DataError, match=r"3_b.png: has no row in boxes.csv"):
        source(tmp_path, boxes=Boxes(table=path)).load(Loading(workers=1))
    new = source(tmp_path, boxes=Boxes(table=path))
    result = new.read(path, {}, Loading(workers=1))
    assert np.abs(result.inputs.numpy()[:, 0] - expected).max() <= 1.5
    with pytest.warns(UserWarning, match="training images were cut out by `boxes`; 1 images"):
        new.read(tmp_path / "0_a.png", {}, Loading(workers=1))


def test_one_region_only(tmp_path):
    boxes, points = Boxes(table=tmp_path / "b.csv"), Landmarks(table=tmp_path / "l.csv")
    with pytest.raises(ValueError, match="expected one of `boxes` and `landmarks`, got both"):
        source(tmp_path, boxes=boxes, landmarks=points)
    with pytest.raises(ValueError, match="expected one of `boxes` and `crop`, got both"):
        source(tmp_path, boxes=boxes, crop=0.5)
