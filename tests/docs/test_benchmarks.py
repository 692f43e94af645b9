"""The pages of benchmarks show stored results, list every source, and their commands run."""

import contextlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from mtlkit.cli import main
from mtlkit.plugins.catalog import load_catalog

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/benchmarks.md").read_text(encoding="utf-8")
PUBLISHED = (ROOT / "docs/how-to/published.md").read_text(encoding="utf-8")
SCRIPTS = ROOT / "plugins/mtlkit-benchmarks/benchmarks"


@pytest.fixture
def demonstrate(monkeypatch):
    """The script that wrote the results."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location("demonstrate", SCRIPTS / "demonstrate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(kind, page=PAGE):
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_table_is_that_of_the_results(demonstrate):
    assert demonstrate.table() in PAGE


def test_each_recipe_of_the_page_has_a_data_source_and_results(demonstrate):
    recipes = {path.stem for path in demonstrate.RECIPES.glob("*.yaml")}
    rows = dict(re.findall(r"^\| `(\w+)` \| `(benchmarks/[\w-]+)` ", PAGE, re.MULTILINE))
    assert set(rows) == recipes == set(demonstrate.HEADLINES)
    assert set(rows.values()) <= set(load_catalog("benchmarks").data.names())
    assert {path.stem for path in demonstrate.RESULTS.glob("*.json")} == recipes


def test_the_commands_of_the_results_name_the_recipes(demonstrate):
    [commands] = blocks("shell")
    names = re.findall(r"benchmarks/demonstrate.py (\w+)", commands)
    assert set(names) == set(demonstrate.HEADLINES)


def test_the_page_does_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [recipe] = blocks("yaml")
    Path("quick.yaml").write_text(recipe)
    for block in blocks("console"):
        command, _, shown = block.removeprefix("$ ").partition("\n")
        with contextlib.redirect_stderr(sys.stdout), pytest.raises(SystemExit):
            main(shlex.split(command)[1:])
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, capsys.readouterr().out)


def test_the_page_of_protocols_does_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [snippet] = blocks("python", PUBLISHED)
    exec(compile(snippet, "docs/how-to/published.md", "exec"), {})
    for block in blocks("console", PUBLISHED):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            with contextlib.redirect_stderr(sys.stdout), pytest.raises(SystemExit):
                main(shlex.split(command)[1:])
            pattern = re.escape(shown).replace(re.escape("..."), ".*")
            assert re.fullmatch(pattern, capsys.readouterr().out, re.DOTALL), command


def test_the_pages_list_every_source_and_every_protocol():
    with_columns = re.findall(r"`([\w-]+)`", PUBLISHED)
    shown = {*with_columns, *re.findall(r"`benchmarks/([\w-]+)`", PAGE + PUBLISHED)}
    names = load_catalog("benchmarks").data.names()
    known = {name.partition("/")[2] for name in names if name.startswith("benchmarks/")}
    assert known <= shown
    protocols = ROOT / "plugins/mtlkit-benchmarks/mtlkit_benchmarks/protocols"
    assert {path.stem for path in protocols.glob("*.yaml")} <= shown
