"""What the README shows is what happens."""

import re
from pathlib import Path

import attrs
import pytest
import torch

from mtlkit import Recipe, load_catalog
from mtlkit.cli import main
from mtlkit.plugins.catalog import Catalog, Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe_io import load_recipe
from mtlkit.weightings import StepLosses

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def block(language: str, words: str) -> str:
    """The one block of a language that contains the words."""
    found = [text for kind, text in BLOCKS if kind == language and words in text]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def with_face() -> Catalog:
    found = load_catalog("all")
    assert "face/rendered" in found.data, "`make setup` installs mtlkit-face"
    return found


def test_the_recipe_reads_and_is_no_longer_than_twelve_lines(with_face, tmp_path):
    text = block("yaml", "data:")
    assert len(text.strip().splitlines()) <= 12
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_recipe(path, with_face).problems() == []


def test_the_mistakes_are_the_ones_shown(with_face, tmp_path, monkeypatch, capsys):
    shown = block("", "mtlkit explain").splitlines()[1:]
    wrong = block("yaml", "data:")
    for right, mistaken in (("type: casia-net", "type: casianet"), ("total:", "totl:"),
                            ("lr: 0.02", "lr: fast")):  # fmt: skip
        wrong = wrong.replace(right, mistaken)
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTLKIT_PLUGINS", "face")  # what the README's reader has
    with pytest.raises(SystemExit) as caught:
        main(["explain", "wrong.yaml"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines() == shown


def test_the_plugin_registers_its_weighting():
    text = block("python", "hookimpl")
    assert len([line for line in text.splitlines() if line.strip()]) <= 12
    space: dict[str, object] = {"__name__": "readme"}
    exec(compile(text, str(README), "exec"), space)
    catalog = Catalog()
    registrar = Registrar(catalog, "acme", Origin("mtlkit-acme", "1.0", "acme.py"))
    space["mtlkit_register"](registrar)
    registrar.commit()
    assert catalog.weightings.get("acme/halves") is space["Halves"]
    losses = StepLosses((), torch.tensor([[1.0, 3.0], [4.0, 8.0]]), torch.full((2,), 2.0), 1.0,
                        torch.zeros(2, 1))  # fmt: skip
    found = space["Halves"]().build((), 1)(losses)
    assert (found.total.item(), found.weights.tolist()) == (4.0, [0.5, 0.5])


def test_the_python_example_trains(with_face, tmp_path, monkeypatch, capsys):
    text = block("python", "mtlkit.fit")
    assert len([line for line in text.splitlines() if line.strip()]) < 15
    small = text.replace("subjects=100, test_subjects=60, size=48",
                         "subjects=2, test_subjects=2, size=32, images_per_subject=26")  # fmt: skip
    small = small.replace("width=0.5", "width=0.125").replace(
        "epochs=10, batch=64", "epochs=1, batch=8"
    )
    assert small != text
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "readme"}
    exec(compile(small, str(README), "exec"), space)
    assert (tmp_path / "runs/first/report.html").is_file()
    assert isinstance(space["recipe"], Recipe)
    assert attrs.evolve(space["recipe"]) == space["recipe"]
    assert "report.html" in capsys.readouterr().out


def test_the_commands_are_targets_of_the_makefile():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", block("", "make demo"), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_the_demo_takes_as_long_as_was_measured_wherever_it_is_said():
    root = README.parent
    row = re.search(
        r"^\| `make demo`.*?\| (\d+) min (\d+) s", (root / "docs/speed.md").read_text("utf-8"), re.M
    )
    minutes = round(int(row[1]) + int(row[2]) / 60)
    for name in ("README.md", "Makefile"):
        (line,) = re.findall(r"^.*make demo  .*$", (root / name).read_text("utf-8"), re.M)
        assert f"about {minutes} minutes" in line, name


def test_what_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
