"""The boundary of the command line: one line and an exit code for every exception."""

import errno
import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from mtlkit.checksums import checksum
from mtlkit.cli import main
from mtlkit.cli.boundary import exit_code
from mtlkit.errors import DataError


@pytest.fixture
def end(capsys):
    """Raises an exception inside the boundary: gives the exit code and what is printed."""

    def run(error, owner="mtlkit"):
        def command():
            raise error

        code = exit_code(command, SimpleNamespace(traceback=False, owner=owner))
        return code, capsys.readouterr().err

    return run


class OddError(Exception):
    def __str__(self):
        raise SystemExit(0)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("t.csv: no"), 2, "mtlkit: error: t.csv: no"),
        (KeyboardInterrupt(), 130, "mtlkit: interrupted"),
        (
            PermissionError(errno.EACCES, "Permission denied", "t.csv"),
            2,
            "mtlkit: error: t.csv: Permission denied; check the path, its permissions and the "
            "disk, then repeat the command",
        ),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "n" * 5000),
            2,
            f"mtlkit: error: {'n' * 300}: File name too long; check the path, its permissions "
            f"and the disk, then repeat the command",
        ),
        (BrokenPipeError(), 1, ""),
        (MemoryError(), 2, "mtlkit: error: memory ran out (MemoryError: (no message))"),
    ],
)
def test_an_error_that_the_user_can_fix(error, code, text, end, monkeypatch):
    monkeypatch.setattr("mtlkit.cli.boundary._discard_output", lambda: None)
    got, err = end(error)
    assert got == code
    assert err.startswith(text)
    assert len(err.splitlines()) <= 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TypeError("two\nlines"), "unexpected TypeError: two lines; "),
        (OddError(), "unexpected OddError: (its message cannot be shown: SystemExit); "),
        (SystemExit(0), "unexpected SystemExit: 0; "),
        (RecursionError("deep"), "unexpected RecursionError: deep; "),
        (ValueError("\x1b[2J"), "unexpected ValueError: \\x1b[2J; "),
    ],
)
def test_a_defect_leaves_a_traceback_in_a_file(error, text, end, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, err = end(error, owner="mtlkit" if isinstance(error, SystemExit) else "mtlkit-acme")
    assert code == 70
    assert err.startswith(f"mtlkit: error: {text}this is a defect: report it to the authors of mt")
    file = Path(re.search(r"with (\S+)$", err.strip())[1])
    assert file.parent == tmp_path
    assert "Traceback (most recent call last)" in file.read_text()


@pytest.mark.parametrize(
    ("metadata", "address"),
    [
        ("", ""),
        ("Home-page: https://acme.example\n", " (https://acme.example)"),
        (
            "Project-URL: Homepage, https://acme.example\n"
            "Project-URL: Bug Tracker, https://acme.example/issues\n",
            " (https://acme.example/issues)",
        ),
    ],
)
def test_a_defect_in_the_code_of_a_plugin_names_the_plugin(metadata, address, end, distribution):
    """Also if a library that the plugin calls raises; the command is one of mtlkit."""
    code = "import json\n\ndef forward(text):\n    return json.loads(text)\n"
    module = importlib.import_module(distribution("acme", code, metadata=metadata))
    with pytest.raises(ValueError, match="Expecting") as caught:
        module.forward("{")
    status, err = end(caught.value)
    assert status == 70
    assert f"report it to the authors of mtlkit-acme{address} with " in err


def test_a_defect_in_mtlkit_that_a_plugin_called_names_both(end, distribution):
    code = "from mtlkit.checksums import sealed\n\ndef forward():\n    sealed({1: object()})\n"
    module = importlib.import_module(distribution("acme", code))
    with pytest.raises(TypeError) as caught:
        module.forward()
    status, err = end(caught.value)
    assert status == 70
    assert "report it to the authors of mtlkit, whose code mtlkit-acme called, with " in err


def test_a_defect_in_a_plugin_that_mtlkit_called_names_the_plugin(end, distribution):
    code = "def fail(_):\n    raise TypeError('no')\n"
    module = importlib.import_module(distribution("acme", code))
    with pytest.raises(TypeError) as caught:
        checksum(map(module.fail, [b""]))
    assert "report it to the authors of mtlkit-acme with " in end(caught.value)[1]


def test_a_defect_without_a_place_for_its_file_is_printed(end, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    code, err = end(TypeError("no"))
    assert code == 70
    assert "TypeError: no; report this to the authors of mtlkit:\nTraceback" in err


def test_a_command_of_a_plugin_may_end_as_it_likes(end):
    assert end(SystemExit(3), owner="mtlkit-acme") == (3, "")
    assert end(SystemExit(None), owner="mtlkit-acme") == (0, "")


def test_traceback_raises(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mtlkit"])
    with pytest.raises(Exception, match="no such file"):
        main(["--traceback", "explain", "/nowhere.yaml"])


def test_a_user_without_a_home_has_a_cache(monkeypatch):
    from mtlkit.plugins.command_options import user_cache

    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert user_cache().name.startswith("mtlkit")


def test_the_end_of_an_input_is_no_interruption(end):
    abort = click.Abort()
    abort.__cause__ = EOFError("unexpected EOF")  # as click raises it
    code, text = end(abort)
    assert code == 70
    assert text.startswith("mtlkit: error: unexpected EOFError: unexpected EOF; this is a defect")
