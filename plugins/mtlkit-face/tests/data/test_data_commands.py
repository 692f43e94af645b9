"""`mtlkit face align`, `pack` and `label-pose`, through the command line."""

import csv
from pathlib import Path

import pytest
from mtlkit_face.data.rendered import Rendered
from PIL import Image

from mtlkit import Recipe, Role, Task, Train, fit
from mtlkit.backbones import MLP
from mtlkit.cli import main


@pytest.fixture
def face(capsys, tmp_path, monkeypatch):
    """Calls ``mtlkit face`` in a folder of its own: gives the exit code, and all that was said."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["face", *map(str, arguments)])
        said = capsys.readouterr()
        return caught.value.code, said.out + said.err

    return call


FIVE = "38 51 73 51 56 71 41 92 70 92"


@pytest.fixture
def photographs(tmp_path):
    for name in ("ann/1.png", "ann/2.png", "bob/1.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (120, 120)).save(path)
    (tmp_path / "points.txt").write_text(f"ann/1.png {FIVE}\nbob/1.png {FIVE}\nx.png {FIVE}\n")
    return tmp_path / "in"


def test_align_counts_what_failed(face, photographs):
    code, said = face("align", "in", "points.txt", "out", "--template", "112-rgb")
    assert (code, said.strip().splitlines()) == (
        0,
        [
            "2 of 4 faces are aligned in out",
            "1 failed, no image",
            "1 failed, no points",
            "failures are listed in out/alignment.csv",
        ],
    )
    with Image.open("out/bob/1.png") as image:
        assert image.size == (112, 112)


def test_align_fails_where_nothing_could_be_aligned(face, photographs):
    Path("points.txt").write_text(f"x.png {FIVE}\n")
    code, said = face("align", "in", "points.txt", "out")
    assert code == 2
    assert "no face could be aligned" in said
    assert Path("out/alignment.csv").is_file()


def test_align_says_which_option_a_table_needs(face, photographs):
    Path("points.txt").write_text(f"ann/1.png {FIVE} 0.9\n")
    code, said = face("align", "in", "points.txt", "out")
    assert code == 2
    assert "skip a label or a score with --extra first or --extra last" in " ".join(said.split())
    assert face("align", "in", "points.txt", "out", "--extra", "last")[0] == 0


def test_pack_writes_four_files(face, photographs):
    code, said = face("pack", "in", "packed/train.rec")
    assert (code, said) == (0, "3 images of 2 subjects are in packed/train.rec\n")
    assert len(list(Path("packed").iterdir())) == 4
    code, said = face("pack", "in", "packed/train.rec")
    assert code == 2
    assert "packed/train.rec: already exists; choose another name or folder" in said
    code, said = face("pack", "in", "packed/train")
    assert "packed/train: expected a name that ends in .rec" in said


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that knows next to nothing, of faces of 32 pixels."""
    data = Rendered(subjects=1, test_subjects=1, images_per_subject=13, size=32, sessions=1,
                    lights_per_geometry=1, supersampling=1, validation=0)  # fmt: skip
    recipe = Recipe(
        data=data,
        backbone=MLP(hidden=(4,)),
        tasks={"pose": Task(role=Role.MAIN, target="yaw"), "light": Task()},
        train=Train(epochs=1, batch=13),
    )
    path = tmp_path_factory.mktemp("runs") / "pose"
    fit(recipe, path, quiet=True)
    return path


def test_label_pose_writes_a_table_and_says_how_often_it_is_right(face, photographs, run):
    Path("yaws.csv").write_text("file,yaw\nann/1.png,0\nbob/1.png,90\n")
    code, said = face("label-pose", run, "in", "--out", "poses.csv", "--threshold", 0,
                      "--against", "yaws.csv")  # fmt: skip
    assert code == 0, said
    assert said.startswith("3 faces: ")
    assert "0 unsure; the labels are in poses.csv\nbest group correct: 0.5000 of 2 known" in said
    with Path("poses.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["file"] for row in rows] == ["ann/1.png", "ann/2.png", "bob/1.png"]
    assert {row["pose"] for row in rows} <= {"left", "front", "right"}


def test_label_pose_reads_records_and_writes_parquet(face, photographs, run):
    face("pack", "in", "packed/train.rec")
    code, said = face("label-pose", run, "packed/train.rec", "--out", "poses.parquet",
                      "--threshold", 1)  # fmt: skip
    assert code == 0, said
    assert said.startswith("3 faces: 0 left, 0 front, 0 right, 3 unsure")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "poses.txt"), "--out: got poses.txt, expected a name that ends in .csv"),
        (("--out", "points.csv"), "points.csv: already exists; choose another name with --out"),
        (("--out", "none/a.csv"), "none/a.csv: the folder none does not exist; create it"),
        (("--out", "a.csv", "--threshold", "2"), "--threshold: got 2.0, expected a number"),
        (("--out", "a.csv", "--task", "yaw"),
         "got no classes of 'yaw', expected one of: pose, light; choose one with --task"),
    ],
)  # fmt: skip
def test_label_pose_refuses(face, photographs, run, options, message):
    Path("points.csv").touch()
    code, said = face("label-pose", run, "in", *options)
    assert code == 2
    assert message in " ".join(said.split())
    assert not Path("a.csv").exists()


@pytest.mark.parametrize("command", ["align", "pack", "label-pose"])
def test_commands_explain_themselves(face, command):
    assert face(command, "--help")[0] == 0
