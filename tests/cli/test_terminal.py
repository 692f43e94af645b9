"""No control character of a name reaches the terminal."""

import re
from pathlib import Path

import pytest
from rich.console import Console

from mtlkit.cli import main
from mtlkit.printable import echo, printable
from mtlkit.runs.progress_display import LiveProgress, PlainProgress
from mtlkit.runs.storage.folder import write_json

ROOT = Path(__file__).parents[2]
ESCAPES = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e"


def test_lines_and_tabs_are_kept():
    assert printable("a\tb\nc caf\u00e9 \u4e2d") == "a\tb\nc caf\u00e9 \u4e2d"
    assert printable("\udcff") == "\\udcff"


@pytest.mark.parametrize("err", [False, True])
def test_echo_shows_escape_sequences(capsys, err):
    echo(f"a {ESCAPES}", err=err)
    out, errors = capsys.readouterr()
    assert (errors if err else out) == "a \\x1b]0;title\\x07\\x1b[31m\\x9b2J\\u202e\n"


def test_the_name_of_a_run_is_escaped(tmp_path, capsys):
    run = tmp_path / f"run{ESCAPES}"
    run.mkdir()
    (run / "recipe.yaml").write_text("seed: 1\n")
    write_json(run / "provenance.json", {})
    with pytest.raises(SystemExit):
        main(["runs", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["explain", str(run / "nothing.yaml")])
    out, err = capsys.readouterr()
    assert "\\x1b]0;title" in out
    assert "\\x1b]0;title" in err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err)


@pytest.mark.parametrize("display", [PlainProgress, LiveProgress])
def test_progress_escapes_what_it_prints(display, tmp_path):
    with (tmp_path / "out").open("w+") as file:
        progress = display(Console(file=file, width=200, force_terminal=False))
        progress.write(f"a {ESCAPES}")
        progress.close()
        file.seek(0)
        assert "a \\x1b]0;title" in file.read()


def test_commands_print_by_one_function():
    sources = [*(ROOT / "mtlkit").rglob("*.py"), *(ROOT / "plugins").glob("*/mtlkit_*/**/*.py")]
    direct = [path.name for path in sources if "click.echo(" in path.read_text("utf-8")]
    assert direct == ["printable.py"]


def test_errors_of_options_are_escaped(capsys):
    for arguments in (
        ["runs", f"--{ESCAPES}"],
        ["list", f"{ESCAPES}"],
        ["resume", "run", "--accept", ESCAPES],
        [ESCAPES],
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capsys.readouterr()
        assert caught.value.code == 2
        assert "\\x1b]0;title" in err
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out + err)
