"""Run every command of the page on inference, in order, and its Python code."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[4] / "docs/how-to/face-use.md"

TESTED_ELSEWHERE = {"export": "test_inference_export.py, since it takes seconds"}


@pytest.fixture
def shown():
    """The text of each fenced block, by its kind."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [(kind, text) for kind, text in found]


@pytest.fixture
def at_home(tmp_path, monkeypatch, runs, people):
    """A folder in which every name of the page is there."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs["p"], "RUN")
    shutil.copytree(people, "FOLDER")
    shutil.copytree(people, "PAIRS")
    shutil.copytree(people / "p1", "IMAGES")
    shutil.copy(people / "p0/0_0_neutral.png", "a.png")
    shutil.copy(people / "p2/2_0_neutral.png", "b.png")
    lines = [f"IMAGES/{path.name},Bob" for path in sorted(Path("IMAGES").iterdir())]
    Path("names.csv").write_text("\n".join(["file,name", *lines]), encoding="utf-8")


def test_every_command_of_the_page_runs(shown, at_home, face):
    commands = [
        shlex.split(line.replace("IMAGES...", "IMAGES"))
        for kind, text in shown
        if not kind
        for line in text.splitlines()
    ]
    assert len(commands) >= 9
    for mtlkit, group, *arguments in commands:
        assert (mtlkit, group) == ("mtlkit", "face")
        if arguments[0] in TESTED_ELSEWHERE:
            _, options = face(arguments[0], "--help")
            assert all(each in options for each in arguments if each.startswith("--"))
            continue
        code, said = face(*arguments)
        assert code == 0, (arguments, said)


def test_the_python_of_the_page_runs(shown, at_home, face, capsys):
    assert face("enroll", "RUN", "people.parquet", "FOLDER")[0] == 0
    ((_, code),) = [block for block in shown if block[0] == "python"]
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "p1 ()\n"
