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
    done = run("mypy", "-p", "mtlkit", "-p", "mtlkit_face", "-p", "mtlkit_hello")
    assert done.returncode == 0, done.stdout


def test_mypy_is_strict(tmp_path):
    (tmp_path / "loose.py").write_text("def double(x):\n    return 2 * x\n")
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    done = run("mypy", config, f"--cache-dir={tmp_path / 'cache'}", "loose.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "no-untyped-def" in done.stdout
