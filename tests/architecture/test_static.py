"""ruff and mypy, in their strictest form, have nothing to say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True)


def test_ruff():
    done = run("ruff", "check", "--no-cache", ".")
    assert done.returncode == 0, done.stdout


def test_mypy():
    done = run(
        "mypy",
        "-p",
        "mtlkit",
        *(f"-pmtlkit_{name}" for name in ("face", "torchjd", "hello", "benchmarks")),
    )
    assert done.returncode == 0, done.stdout


def test_mypy_is_strict(tmp_path):
    (tmp_path / "loose.py").write_text("def double(x):\n    return 2 * x\n")
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    done = run("mypy", config, f"--cache-dir={tmp_path / 'cache'}", "loose.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "no-untyped-def" in done.stdout


OUTSIDER = """
from typing import assert_type

import attrs
from mtlkit.weightings import Dynamic
from mtlkit.optim import Schedule

assert_type(Dynamic(total=0.1).total, float)


@attrs.frozen(kw_only=True)
class Slow(Schedule):
    rate: float = 0.5

    def factor(self, progress: float) -> float:
        return self.rate


@attrs.frozen(kw_only=True)
class Wrong(Schedule):
    def factor(self, progress: str) -> str:  # both are numbers
        return progress


Slow(rate=0.1)
Dynamic(total="much")  # a number
Dynamic(0.1)  # by name only
"""


def test_mypy_tells_a_plugins_author_what_is_wrong(tmp_path):
    """The public names have types that a stranger's checker knows; pyright: tests/wheels."""
    path = tmp_path / "outsider.py"
    path.write_text(OUTSIDER)
    done = run("mypy", str(path))
    assert done.returncode == 1
    for said in (
        'Argument 1 of "factor" is incompatible with supertype "mtlkit.optim.base.Schedule"',
        'Return type "str" of "factor" incompatible with return type "float"',
        'Argument "total" to "Dynamic" has incompatible type "str"; expected "float"',
        'Too many positional arguments for "Dynamic"',
        "Found 4 errors in 1 file",
    ):
        assert said in done.stdout, done.stdout
