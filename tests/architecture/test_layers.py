"""Imports only go down: import-linter's contracts hold, and would notice if they did not."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command as c; c()"


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "PATH": "", "PYTHONWARNINGS": "ignore"},
    )


def test_the_contracts_hold():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a house that keeps our own contracts."""
    folder = tmp_path_factory.mktemp("sound")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    names = [
        name.strip() for layer in contracts["contracts"][0]["layers"] for name in layer.split("|")
    ]
    (folder / "house").mkdir()
    (folder / "house" / "__init__.py").write_text("")
    for name in names:
        (folder / "house" / f"{name}.py").write_text("")
    (folder / "house_plugin").mkdir()
    (folder / "house_plugin" / "__init__.py").write_text("")
    (folder / "mtlkit_face.py").write_text("")
    (folder / "mtlkit_hello.py").write_text("")
    text = (ROOT / "pyproject.toml").read_text()
    text = text[text.index("[tool.importlinter]") :]
    text = text.replace('"mtlkit_face"', '"house_plugin"').replace('"mtlkit"', '"house"')
    (folder / "pyproject.toml").write_text(text)
    done = lint(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("heads", "import house.weightings"),  # a neighbour
        ("component", "import house.model"),  # upwards
        ("cellar", ""),  # a package without a layer
        ("model", "import house_plugin"),  # a plugin
    ],
)
def test_a_bad_import_is_noticed(tmp_path, sound, module, line):
    """Our own contracts, on a house with one crack."""
    shutil.copytree(sound, tmp_path / "cracked")
    (tmp_path / "cracked" / "house" / f"{module}.py").write_text(line)
    assert lint(tmp_path / "cracked").returncode == 1
