"""No control character of a name reaches the terminal."""

import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mtlkit.cli import main
from mtlkit.printable import echo, echo_data, printable, printable_line
from mtlkit.runs.progress_display import LiveProgress, PlainProgress
from mtlkit.runs.storage.folder import write_json

ROOT = Path(__file__).parents[2]
ESCAPES = "\x1b]0;title\x07\x1b[31m\x9b2J\u202e"


def test_lines_and_tabs_are_kept():
    assert printable("a\tb\nc caf\u00e9 \u4e2d") == "a\tb\nc caf\u00e9 \u4e2d"
    assert printable("\udcff") == "\\udcff"
    assert printable_line("a\tb\nc") == "a\tb\\nc"


@pytest.mark.parametrize("err", [False, True])
def test_echo_shows_escape_sequences(capsys, err):
    echo(f"a {ESCAPES}", "b\nc", err=err)
    out, errors = capsys.readouterr()
    assert (errors if err else out) == "a \\x1b]0;title\\x07\\x1b[31m\\x9b2J\\u202e\nb\\nc\n"


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


@pytest.mark.parametrize("terminal", [False, True])
def test_data_is_escaped_on_a_terminal_only(capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    echo_data(f"a {ESCAPES}\n\udcff\n")
    expected = "a \\x1b]0;title\\x07\\x1b[31m\\x9b2J\\u202e\n\\udcff\n"
    assert capsys.readouterr().out == (expected if terminal else f"a {ESCAPES}\n\\udcff\n")


def test_the_schema_in_a_pipe_is_json(capsys, monkeypatch):
    schema = {"description": ESCAPES + "\x7f\n"}
    monkeypatch.setattr("mtlkit.recipe_io.schema.recipe_schema", lambda _: schema)
    with pytest.raises(SystemExit):
        main(["schema"])
    assert json.loads(capsys.readouterr().out) == schema


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


BREAK = "x\nFAKE\x1b[31m"
"""A name that contains a line feed and the code of red text."""


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A folder of that name, with a table, a recipe, and a run."""
    folder = tmp_path_factory.mktemp("home") / BREAK
    folder.mkdir()
    rows = [f"{n % 7},{n % 5},{'ab'[n % 2]}" for n in range(40)]
    (folder / "points.csv").write_text("\n".join(["x,y,side", *rows]) + "\n")
    (folder / "points.yaml").write_text(
        "data: {type: table, file: points.csv, labels: [side]}\n"
        "backbone: {type: mlp, hidden: [4]}\n"
        "tasks: {side: {}}\ntrain: {epochs: 1, threads: 1, device: cpu}\n"
    )
    return folder


def _call(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def test_a_path_with_a_line_feed_prints_no_line_of_its_own(strange, tmp_path, capfd, monkeypatch):
    """Of every command that prints a path; the order is that in which the files are written."""
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    monkeypatch.chdir(tmp_path)  # from which the table is not found
    run, recipe, table = strange / "run", strange / "points.yaml", strange / "points.csv"
    succeeding = (
        ("train", recipe, "--out", run),
        ("resume", run),
        ("evaluate", run),
        ("report", run),
        ("report", run, "--out", strange / "page.html"),
        ("runs", strange),
        ("compare", run, run),
        ("predict", run, table, "--out", strange / "new.csv"),
        ("export", run, "--out", strange / "m.safetensors"),
        ("schema", "--out", strange / "schema.json"),
        ("lr-find", recipe, "--steps", 10, "--from", "1e-3", "--out", strange / "lr.csv"),
        ("plugin", "new", "acme", "--out", strange / "acme"),
        ("merge", run, run, "--out", strange / "merged"),
    )
    failing = (
        ("train", recipe, "--out", run),
        ("train", strange / "none.yaml"),
        ("train", recipe, "--set", f"data.file={BREAK}.csv", "--out", strange / "no"),
        ("explain", strange / "none.yaml"),
        ("predict", run, strange / "none.csv"),
        ("predict", run, table, "--out", strange / "gone" / "new.csv"),
        ("predict", run, table, "--out", strange / "new.odd"),
        ("export", strange / "none", "--out", "m.onnx"),
        ("tune", strange / "none.yaml"),
        ("affinity", strange / "none.yaml"),
        ("compare", strange / "none.yaml"),
        ("runs", strange / "none"),
        ("resume", strange),
        ("list", BREAK),
        ("show", f"heads/{BREAK}"),
    )
    for arguments, codes in (*((a, (0, 2)) for a in succeeding), *((a, (2,)) for a in failing)):
        code = _call(*arguments)
        out, err = capfd.readouterr()
        assert code in codes, (arguments, err)
        assert "FAKE" in out + err or arguments[0] in ("compare", "lr-find", "plugin")
        assert not re.search(r"^FAKE|\x1b", out + err, re.MULTILINE), (arguments, out, err)


def test_ids_with_a_line_feed_are_one_line_of_a_table(strange, capsys):
    (strange / "ids.csv").write_text('x,y\n1,"2\nFAKE"\n')
    assert _call("predict", strange / "run", strange / "ids.csv") == 2
    _, err = capsys.readouterr()
    assert "FAKE" in err
    assert not re.search("^FAKE", err, re.MULTILINE)
