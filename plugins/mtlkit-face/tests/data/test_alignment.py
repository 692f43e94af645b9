"""Alignment: the similarity against two independent formulas, the warp against a ramp, failures."""

import csv

import numpy as np
import pytest
from mtlkit_face.data.alignment import ARCFACE, TEMPLATES
from mtlkit_face.data.alignment_folder import align_folder, failure_counts
from mtlkit_face.data.landmarks import ExtraColumn, SeveralFaces, read_landmarks
from mtlkit_synthetic_faces.rendering.camera import EYES_TO_MOUTH, ROW
from PIL import Image

from mtlkit.data import Similarity, five_points, similarity, warp
from mtlkit.plugins import DataError


def umeyama(source, target):
    """Eq. 40 to 42 of the paper, by a singular value decomposition; reflections are kept out."""
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    turn = u @ sign @ vt
    scale = (d * np.diag(sign)).sum() / s.var(0).sum()
    return scale * turn, mean_t - scale * turn @ mean_s


def least_squares(source, target):
    """The four numbers of a similarity as unknowns of linear equations."""
    x, y = source.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, c, d), *_ = np.linalg.lstsq(rows, np.concatenate(target.T), rcond=None)
    return np.array([[a, -b], [b, a]]), np.array([c, d])


@pytest.mark.parametrize("seed", range(20))
def test_the_similarity_is_that_of_two_other_formulas(seed):
    random = np.random.default_rng(seed)
    points = random.normal(0, 40, (5, 2)) + random.normal(0, 200, 2)
    result = similarity(points, ARCFACE)
    own = np.array([[result.w.real, -result.w.imag], [result.w.imag, result.w.real]])
    for matrix, shift in (umeyama(points, ARCFACE), least_squares(points, ARCFACE)):
        np.testing.assert_allclose(own, matrix, atol=1e-9)
        np.testing.assert_allclose([result.t.real, result.t.imag], shift, atol=1e-7)
    moved = points @ own.T + [result.t.real, result.t.imag]
    np.testing.assert_allclose(result(points), moved, atol=1e-7)
    distance = np.sqrt(np.square(moved - ARCFACE).sum(1).mean())
    assert result.residual == pytest.approx(distance)


def test_a_moved_template_is_brought_back():
    move = Similarity(0.5 * np.exp(0.3j), 10 - 20j, 0.0)
    result = similarity(move(ARCFACE), ARCFACE)
    assert result.residual == pytest.approx(0, abs=1e-9)
    assert result.scale == pytest.approx(2)
    assert result.degrees == pytest.approx(-np.degrees(0.3))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.full((5, 2), 7.0), "all points coincide"),
        (np.where(np.arange(10).reshape(5, 2) == 3, np.inf, ARCFACE), "a point is not finite"),
        (np.where(np.arange(10).reshape(5, 2) < 8, np.nan, ARCFACE), "has 1 of 5 points"),
    ],
)
def test_points_that_have_no_similarity(points, message):
    with pytest.raises(DataError, match=message):
        similarity(points, ARCFACE)


def test_the_templates():
    """The one of insightface as it is published; the gray one framed as rendered faces are."""
    published = [(38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20)]
    np.testing.assert_allclose(TEMPLATES["112-rgb"].points, published, atol=0.01)
    gray = TEMPLATES["100-gray"].points
    eyes, mouth = gray[:2].mean(0), gray[3:].mean(0)
    assert np.linalg.norm(eyes - mouth) == pytest.approx(100 * EYES_TO_MOUTH)
    np.testing.assert_allclose((eyes + mouth) / 2 + 0.5, [50, 100 * ROW])
    assert similarity(gray, ARCFACE).residual == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("scale", [0.2, 0.34, 0.9, 1.7])
def test_a_ramp_stays_the_ramp(scale):
    """Interpolation reproduces what is linear: every pixel tells where it came from."""
    down, across = np.mgrid[0:200, 0:200].astype(float)
    move = Similarity(scale * np.exp(0.1j), 50 - scale * np.exp(0.1j) * (100 + 100j) + 50j, 0.0)
    back = ((np.arange(100)[None] + 1j * np.arange(100)[:, None]) - move.t) / move.w
    margin = 3 / scale if scale < 1 else 3
    inside = (abs(back.real - 99.5) < 99 - margin) & (abs(back.imag - 99.5) < 99 - margin)
    assert inside.sum() > 400
    for values, expected in ((across, back.real), (down, back.imag)):
        result = np.asarray(warp(Image.fromarray(values.astype(np.float32)), move, (100, 100)))
        np.testing.assert_allclose(result[inside], expected[inside], atol=2e-3)


def test_sixty_eight_points_become_five():
    points = np.random.default_rng(0).normal(size=(68, 2))
    five = five_points(points)
    np.testing.assert_allclose(five[0], points[36:42].mean(0))
    np.testing.assert_allclose(five[1], points[42:48].mean(0))
    np.testing.assert_allclose(five[2:], points[[30, 48, 54]])
    with pytest.raises(DataError, match="got 21 points, expected 5 or 68"):
        five_points(np.zeros((21, 2)))


# -- tables


FIVE = "38 51 73 51 56 71 41 92 70 92"


def written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("lines", "two"),
    [
        ((f"s/*.png {FIVE}", f"s/a.png {FIVE}"), "'s/*.png' and 's/a.png'"),
        ((f"s/a.png {FIVE}", f"s/*.png {FIVE}"), "'s/a.png' and 's/*.png'"),
        ((f"s/*.png {FIVE}", f"s/a* {FIVE}"), "'s/*.png' and 's/a*'"),
        (("s/a.png" + 10 * ",", "s/*.png," + FIVE.replace(" ", ",")), "'s/*.png' and 's/a.png'"),
    ],
)
def test_two_names_for_one_image_are_refused(tmp_path, lines, two):
    (tmp_path / "in/s").mkdir(parents=True)
    Image.new("L", (9, 9)).save(tmp_path / "in/s/a.png")
    if "," in lines[0]:
        names = ",".join(f"{axis}{i}" for i in range(1, 6) for axis in "xy")
        table = written(tmp_path / "a.csv", "\n".join((f"file,{names}", *lines)) + "\n")
    else:
        table = written(tmp_path / "a.txt", "\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        align_folder(tmp_path / "in", read_landmarks(table), TEMPLATES["100-gray"],
                     tmp_path / "out", workers=1, progress=lambda *_: None)  # fmt: skip
    assert str(caught.value) == (
        f"s/a.png matches two rows of the table of landmarks, {two}, expected one; remove a row, "
        f"or make the name with * more specific"
    )
    assert not (tmp_path / "out").exists()


def test_a_name_without_points_may_stand_for_several(tmp_path):
    (tmp_path / "in/s").mkdir(parents=True)
    for name in "ab":
        Image.new("L", (9, 9)).save(tmp_path / f"in/s/{name}.png")
    names = ",".join(f"{axis}{i}" for i in range(1, 6) for axis in "xy")
    table = written(tmp_path / "a.csv", f"file,{names}\ns/*.png{',' * 10}\n")
    result = align_folder(tmp_path / "in", read_landmarks(table), TEMPLATES["100-gray"],
                         tmp_path / "out", workers=1, progress=lambda *_: None)  # fmt: skip
    assert [(each.file, each.failure) for each in result] == [
        ("s/a.png", "has no points (a.csv:2)"), ("s/b.png", "has no points (a.csv:2)"),
    ]  # fmt: skip


def test_all_forms_of_tables_say_the_same(tmp_path):
    names = ",".join(f"{axis}{i}" for i in range(1, 6) for axis in "xy")
    tables = [
        (written(tmp_path / "a.csv", f"file,{names}\na/1.png,{FIVE.replace(' ', ',')}\n"), {}),
        (written(tmp_path / "a.txt", f"a/1.png {FIVE}\n\n"), {}),
        (written(tmp_path / "b.txt", f"a/1.png\t7 {FIVE}\n"), {"extra": ExtraColumn.FIRST}),
        (written(tmp_path / "c.txt", f"./a/1.png {FIVE} 0.99\n"), {"extra": ExtraColumn.LAST}),
        (written(tmp_path / "d.lst", f"a/1.png\t3\t{FIVE}\n"), {"extra": ExtraColumn.FIRST}),
    ]
    for path, options in tables:
        result = read_landmarks(path, **options)
        assert list(result.points) == ["a/1.png"]
        np.testing.assert_array_equal(result.points["a/1.png"].ravel(), [*map(float, FIVE.split())])


def test_a_blank_in_a_name_stands_where_a_tab_ends_it(tmp_path):
    result = read_landmarks(written(tmp_path / "a.txt", f"my face.png\t{FIVE}\n"))
    assert list(result.points) == ["my face.png"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", f"a.png {FIVE} 1\n",
         "a.txt:1: got a name and 11 numbers, expected 10 or 136; skip a label or a score with "
         "--extra first or --extra last"),
        ("a.txt", "a.png 1 2\n", "a.txt:1: got a name and 2 numbers, expected 10 or 136"),
        ("a.txt", f"a.png {FIVE[:-2]}x\n",
         "a.txt:1: expected pixel coordinates: could not convert string to float: 'x'"),
        ("a.txt", f"../a.png {FIVE}\n",
         "a.txt:1: the path '../a.png' is outside of the folder of images"),
        ("a.txt", "\n", "{folder}/a.txt: contains no lines"),
        ("a.csv", "file,x1,y1\na.png,1,2\n",
         "a.csv:2: got the columns x1, y1, expected left_eye_x, left_eye_y, ..., or x1, y1, ... of "
         "the 5 or 68 points of a face"),
        ("a.txt", f"a.png {FIVE}\na.png {FIVE}\n",
         "a.txt:2: 'a.png' already has points at a.txt:1; keep one face, or use the largest with "
         "--several largest"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read(tmp_path, name, text, message):
    with pytest.raises(DataError) as caught:
        read_landmarks(written(tmp_path / name, text))
    assert str(caught.value) == message.format(folder=tmp_path)


def test_the_largest_of_several_faces(tmp_path):
    small = " ".join(str(float(number) / 2) for number in FIVE.split())
    table = written(tmp_path / "a.txt", f"a.png {small}\na.png {FIVE}\na.png {small}\n")
    result = read_landmarks(table, several=SeveralFaces.LARGEST)
    np.testing.assert_array_equal(result.points["a.png"].ravel(), [*map(float, FIVE.split())])


# -- folders


@pytest.fixture
def photographs(tmp_path):
    """Two pictures of one moment, and others that go wrong in every way."""
    folder = tmp_path / "in"
    (folder / "s").mkdir(parents=True)
    for name in ("s/1_00.png", "s/1_01.jpg", "s/outside.png", "s/one_place.png", "s/nobody.png"):
        Image.new("RGB", (160, 120), (200, 0, 0)).save(folder / name)
    (folder / "s/broken.png").write_bytes(b"no image")
    Image.fromarray(np.full((120, 160), 40000, np.uint16)).save(folder / "s/deep.png")
    (folder / "notes.txt").touch()
    far = " ".join(str(float(number) + 1000) for number in FIVE.split())
    lines = [
        f"s/1_*.* {FIVE}", f"s/outside.png {far}", "s/one_place.png " + "5 " * 10,
        f"s/broken.png {FIVE}", f"s/gone.png {FIVE}", f"s/deep.png {FIVE}",
    ]  # fmt: skip
    written(tmp_path / "points.txt", "\n".join(lines))
    return folder


def test_every_image_is_aligned_or_in_the_table_of_failures(photographs, tmp_path):
    heard = []
    outcomes = align_folder(
        photographs, read_landmarks(tmp_path / "points.txt"), TEMPLATES["100-gray"],
        tmp_path / "out", workers=2, progress=lambda *event: heard.append(event),
    )  # fmt: skip
    assert heard == [(7, 7)]
    with (tmp_path / "out/alignment.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {name: row["failure"] for name, row in rows.items()} == {
        "s/1_00.png": "",
        "s/1_01.jpg": "",
        "s/broken.png": rows["s/broken.png"]["failure"],
        "s/deep.png": "has pixels of more than 8 bits; convert it to 8 bits first",
        "s/nobody.png": "has no row of points",
        "s/one_place.png": "all points coincide",
        "s/outside.png": "all points are outside of its 160 x 120 pixels",
        "s/gone.png": f"the image {photographs}/s/gone.png does not exist",
    }
    assert rows["s/broken.png"]["failure"].startswith("cannot be read: UnidentifiedImageError")
    assert failure_counts(outcomes) == {
        "no points": 1, "no image": 1, "unreadable": 1, "points that cannot be aligned": 3,
    }  # fmt: skip
    assert rows["s/1_01.jpg"]["aligned"] == "s/1_01.png"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == [
        "1_00.png", "1_01.png",
    ]  # fmt: skip
    with Image.open(tmp_path / "out/s/1_00.png") as image:
        assert (image.size, image.mode) == ((100, 100), "L")
    assert float(rows["s/1_00.png"]["residual"]) < 1


def test_points_come_to_lie_on_the_template(tmp_path):
    """Bright dots at the points of a dark picture are found where the template has them."""
    move = Similarity(1.3 * np.exp(0.2j), 30 + 20j, 0.0)
    points = move(ARCFACE)
    down, across = np.mgrid[0:260, 0:260]
    dots = sum(np.exp(-((across - x) ** 2 + (down - y) ** 2) / 8) for x, y in points)
    (tmp_path / "in").mkdir()
    Image.fromarray((255 * np.minimum(dots, 1)).astype(np.uint8)).save(tmp_path / "in/a.png")
    numbers = " ".join(f"{number:.3f}" for number in points.ravel())
    table = read_landmarks(written(tmp_path / "p.txt", f"a.png {numbers}\n"))
    align_folder(tmp_path / "in", table, TEMPLATES["112-rgb"], tmp_path / "out", workers=1,
                 progress=lambda *_: None)  # fmt: skip
    with Image.open(tmp_path / "out/a.png") as image:
        assert (image.size, image.mode) == ((112, 112), "RGB")
        shown = np.asarray(image)[..., 0].astype(float)
    for x, y in ARCFACE:
        left, top = int(x) - 4, int(y) - 4
        near = shown[top : top + 10, left : left + 10]
        rows, columns = np.mgrid[0:10, 0:10]
        centre = [(near * axis).sum() / near.sum() for axis in (columns + left, rows + top)]
        np.testing.assert_allclose(centre, [x, y], atol=0.15)


def test_folders_that_cannot_be_aligned(photographs, tmp_path):
    points = read_landmarks(tmp_path / "points.txt")

    def aligned(folder, out):
        return align_folder(folder, points, TEMPLATES["100-gray"], out, workers=1,
                            progress=lambda *_: None)  # fmt: skip

    with pytest.raises(DataError, match="already exists; choose a new or empty folder"):
        aligned(photographs, photographs)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: contains no image"):
        aligned(tmp_path / "empty", tmp_path / "out")
    Image.new("L", (9, 9)).save(photographs / "s/1_00.jpg")
    with pytest.raises(DataError) as caught:
        aligned(photographs, tmp_path / "out")
    assert str(caught.value) == (
        "s/1_00.jpg and s/1_00.png would both become s/1_00.png; rename one of the two"
    )
