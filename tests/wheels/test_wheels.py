"""The wheels, not only the checkout: built, installed into a fresh environment, and used."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: object, cwd: Path, **environment: str) -> str:
    """The output of a command that succeeds."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> list[Path]:
    out = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, *sorted((ROOT / "plugins").iterdir())):
        # the sources are copied first, so that building leaves nothing in the checkout
        copy = tmp_path_factory.mktemp("source") / source.name
        names = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "."],
            cwd=source, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        for name in names:
            if name.startswith("plugins/") or not (source / name).is_file():
                continue
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((source / name).read_bytes())
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=copy)
    return sorted(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheels, tmp_path_factory) -> Path:
    """A fresh environment with the wheels, which borrows torch and the rest from this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin/python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                    cwd=home).strip())  # fmt: skip
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
        "--quiet", *wheels, cwd=home)  # fmt: skip
    # a path in a .pth file is searched after the environment's own packages, and the .pth files
    # of that path are not read: our editable installation stays invisible
    borrowed = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "borrowed.pth").write_text("\n".join([*borrowed, ""]), encoding="utf-8")
    return python


def test_wheels_hold_what_they_need_and_no_tests(wheels):
    names = {wheel.name.partition("-")[0]: zipfile.ZipFile(wheel).namelist() for wheel in wheels}
    assert sorted(names) == [
        "mtlkit",
        "mtlkit_benchmarks",
        "mtlkit_face",
        "mtlkit_hello",
        "mtlkit_synthetic_faces",
        "mtlkit_torchjd",
    ]
    for found in names.values():
        assert not [
            name
            for name in found
            if name.endswith(".py") and "/test" in name.replace("/testing/", "/")
        ]
    assert "mtlkit/py.typed" in names["mtlkit"]
    for name in ("page.html", "page.js", "style.css"):
        assert f"mtlkit/report/{name}" in names["mtlkit"]
    assert "mtlkit/cli/scaffold/plugin.py.jinja" in names["mtlkit"]
    assert "mtlkit_hello/recipes/first.yaml" in names["mtlkit_hello"]
    assert "mtlkit_face/recipes/demo-p-cnn.yaml" in names["mtlkit_face"]
    for name in ("head.npz", "head.LICENSE.txt", "py.typed"):
        assert f"mtlkit_synthetic_faces/{name}" in names["mtlkit_synthetic_faces"]
    assert "mtlkit_benchmarks/recipes/scenes.yaml" in names["mtlkit_benchmarks"]
    assert "mtlkit_torchjd/py.typed" in names["mtlkit_torchjd"]
    for name in names.keys() - {"mtlkit_hello"}:
        assert any("LICENSE" in path for path in names[name])


def test_the_installed_packages_are_the_wheels(python, tmp_path):
    found = run(
        python,
        "-c",
        "import mtlkit_face, mtlkit_torchjd, mtlkit; print(mtlkit.__file__)",
        cwd=tmp_path,
    )
    assert found.strip().startswith(str(python.parents[1]))
    listed = run(python.with_name("mtlkit"), "list", "data", cwd=tmp_path)
    assert "face/rendered" in listed
    listed = run(python.with_name("mtlkit"), "list", "weightings", cwd=tmp_path)
    assert "torchjd/upgrad" in listed


def test_the_installed_wheels_run_the_demo_recipe(python, tmp_path):
    mtlkit = python.with_name("mtlkit")
    recipe = [line for line in run(mtlkit, "face", "recipes", cwd=tmp_path)
              .splitlines() if line.endswith("demo-p-cnn.yaml")]  # fmt: skip
    small = (
        "data.subjects=3 data.test_subjects=2 data.images_per_subject=26 data.size=32 "
        "backbone.width=0.125 train.epochs=1 train.batch=16"
    )
    settings = [word for setting in small.split() for word in ("--set", setting)]
    said = run(mtlkit, "train", recipe[0], *settings, "--out", "run",
               "--cache", tmp_path / "cache", cwd=tmp_path)  # fmt: skip
    assert "report.html" in said
    assert (tmp_path / "run/model.safetensors").is_file()
    assert (tmp_path / "run/report.html").stat().st_size > 20_000


PLUGIN_TYPES = """
from pathlib import Path
from typing import assert_type

import attrs
from mtlkit.weightings import Dynamic
from mtlkit import fit, load_catalog, load_recipe
from mtlkit.plugins import Registrar, above, hookimpl
from mtlkit.optim import Schedule
from mtlkit.runs import Evaluated, Run
from mtlkit_hello.discount import Discount

assert_type(Discount(rate=0.5).rate, float)
assert_type(Dynamic(total=0.1).normalize, bool)
assert_type(fit(load_recipe(Path("r.yaml"), load_catalog()), "out"), Run)


@attrs.frozen(kw_only=True)
class Slow(Schedule):
    rate: float = attrs.field(default=0.5, validator=above(0))

    def factor(self, progress: float) -> float:
        return self.rate


Slow(rate=0.1)


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    catalog.schedules.add("acme/slow", Slow, "slow")


@hookimpl
def mtlkit_evaluated(event: Evaluated) -> None:
    assert_type(event.metrics["pose/loss"], float)


assert_type(load_catalog().schedules.get("acme/slow"), type[Schedule])
"""

WRONG_TYPES = """
import attrs
from mtlkit.plugins import Registrar
from mtlkit.weightings import Dynamic
from mtlkit.optim import Schedule


def mtlkit_register(catalog: Registrar) -> None:
    catalog.weightings.add("acme/wrong", Wrong)  # a schedule
    catalog.wieghtings.add("acme/wrong", Dynamic)  # misspelled


@attrs.frozen(kw_only=True)
class Wrong(Schedule):
    def factor(self, progress: str) -> str:  # both are numbers
        return progress


Dynamic(total="much")  # a number
Dynamic(0.1)  # by name only
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    """A folder with a plugin author's files, far from our checkout."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "right.py").write_text(PLUGIN_TYPES)
    (folder / "wrong.py").write_text(WRONG_TYPES)
    return folder


def test_pyright_knows_the_types_of_the_installed_wheels(python, outside):
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--level", "error", "--outputjson",
         "--pythonpath", str(python), "right.py", "wrong.py"],
        cwd=outside, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    output = json.loads(done.stdout)
    assert output["summary"]["filesAnalyzed"] == 2, done.stderr
    errors = output["generalDiagnostics"]
    assert {Path(error["file"]).name for error in errors} == {"wrong.py"}, errors
    rules = {error["rule"] for error in errors}
    assert rules >= {
        "reportIncompatibleMethodOverride", "reportArgumentType", "reportCallIssue",
    }  # fmt: skip
    messages = "\n".join(error["message"].replace("\xa0", " ") for error in errors)
    assert 'Cannot access attribute "wieghtings" for class "Registrar"' in messages
    assert '"type[Wrong]" is not assignable to "type[Weighting]"' in messages
