"""What docs/how-to/face-data.md shows is executed, and gives what is shown."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from mtlkit import load_catalog
from mtlkit.cli import main
from mtlkit.recipe_io import parse_recipe

PAGE = Path(__file__).resolve().parents[4] / "docs/how-to/face-data.md"


def said_by(command, capsys):
    with pytest.raises(SystemExit):
        main(shlex.split(command)[1:])
    return capsys.readouterr().out


def test_the_page_does_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    kinds = []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.S):
        kinds.append(kind)
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), namespace)
        elif kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                found = "\n".join([*said_by(command, capsys).strip().splitlines(), ""])
                agrees = doctest.OutputChecker().check_output(shown, found, doctest.ELLIPSIS)
                assert agrees, f"{command}\nshown:\n{shown}\nfound:\n{found}"
    assert (kinds.count("console"), kinds.count("python"), kinds.count("text")) == (2, 3, 2)
    # text is what takes minutes, or files that are not ours; yaml is the recipe below
    assert (kinds.count("yaml"), len(kinds)) == (1, 8)


def test_the_recipe_of_originals_is_valid():
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    tasks = "tasks:\n  identity: {role: main, target: subject}\nbackbone: {type: casia-net}\n"
    recipe = parse_recipe(f"{block}{tasks}", "recipe.yaml", load_catalog())
    assert recipe.data.landmarks.table == Path("points.csv")
    assert recipe.data.split.groups == "subject"
