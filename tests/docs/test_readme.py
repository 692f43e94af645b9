"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest
import torch

from mtlkit.plugins.catalog import Catalog, Registrar
from mtlkit.plugins.registry import Origin

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def block(language: str, words: str) -> str:
    """The one block of a language that contains the words."""
    found = [text for kind, text in BLOCKS if kind == language and words in text]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder with the table and the recipe of the README."""
    monkeypatch.chdir(tmp_path)
    site = (README.parent / "docs/index.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", site, re.DOTALL)[1], {})
    Path("digits.yaml").write_text(block("yaml", "data:"), encoding="utf-8")


def test_the_recipe_is_that_of_the_landing_page():
    text = block("yaml", "data:")
    assert len(text.strip().splitlines()) <= 12
    assert f"# digits.yaml\n{text}" in (README.parent / "docs/index.md").read_text("utf-8")


@pytest.mark.usefixtures("trained")
def test_the_python_example_trains(monkeypatch):
    text = block("python", "mtlkit.fit")
    assert len([line for line in text.splitlines() if line.strip()]) < 10
    space: dict[str, object] = {"__name__": "readme"}
    exec(compile(text, str(README), "exec"), space)
    assert space["run"].metrics["test/digit/accuracy"] > 0.95
    assert space["run"].report.is_file()
    assert isinstance(space["model"], torch.nn.Module)


def test_the_plugin_registers_its_weighting():
    text = block("python", "hookimpl")
    assert len([line for line in text.splitlines() if line.strip()]) <= 12
    space: dict[str, object] = {"__name__": "readme"}
    exec(compile(text, str(README), "exec"), space)
    catalog = Catalog()
    registrar = Registrar(catalog, "acme", Origin("mtlkit-acme", "1.0", "acme.py"))
    space["mtlkit_register"](registrar)
    registrar.commit()
    assert catalog.weightings.get("acme/unit-norm") is space["UnitNorm"]
    gradients = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    weights = space["UnitNorm"]().build((), 2)(gradients @ gradients.T, None)
    torch.testing.assert_close(weights @ gradients, torch.tensor([0.6, 1.8]))


def test_it_fits_on_one_screen():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 75


def test_the_commands_are_targets_of_the_makefile():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", block("", "make demo"), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_demo_takes_as_long_as_was_measured_wherever_it_is_said():
    root = README.parent
    row = re.search(
        r"^\| `make demo`.*?\| (\d+) min (\d+) s",
        (root / "docs/studies/speed.md").read_text("utf-8"),
        re.M,
    )
    minutes = round(int(row[1]) + int(row[2]) / 60)
    for name in ("README.md", "Makefile"):
        (line,) = re.findall(r"^.*make demo  .*$", (root / name).read_text("utf-8"), re.M)
        assert f"about {minutes} minutes" in line, name


def test_what_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_no_line_of_the_changelog_occurs_twice():
    lines = (README.parent / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    sentences = [line for line in lines if len(line) > 40]
    assert len(set(sentences)) == len(sentences)
