"""The docs site builds without a warning and fetches nothing, and the reference is complete."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sphinx.search.en import SearchEnglish

from mtlkit.cli import COMMANDS
from mtlkit.namespace import NAMESPACES
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io.structuring import options_of

ROOT = Path(__file__).parents[2]


def paper_of(component):
    """Return the paragraph of the component's module that cites its paper, or an empty text."""
    docstring = sys.modules[component.__module__].__doc__
    return next((p for p in docstring.split("\n\n") if p.startswith("Paper:")), "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", out / "trees",
         "-b", "html", "docs", out / "html"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


def test_every_page_is_there(site):
    for page in (ROOT / "docs").rglob("*.md"):
        relative = page.relative_to(ROOT / "docs")
        if "_build" not in relative.parts:
            assert (site / relative.with_suffix(".html")).is_file(), relative


def components():
    """Return the family, name and class of every built-in component."""
    for plural, registry in load_catalog("none").families().items():
        for entry in registry:
            yield plural, entry.name, registry.get(entry.name)


def test_every_component_has_a_page_with_its_class_options_and_paper(site):
    for plural, name, component in components():
        page = site / "_generated" / "components" / plural / f"{name}.html"
        text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
        assert plural == "ops" or component.__name__ in text, name
        if plural == "ops":  # a value without options
            continue
        for option in options_of(component):
            assert option in text, (name, option)
        assert ("Paper:" in text) == bool(paper_of(component)), name


def test_every_weighting_and_router_cites_its_paper():
    without = {"fixed", "equal"}
    families = ("weightings", "routers", "branches")
    found = {n for plural, n, kind in components() if plural in families and not paper_of(kind)}
    assert found == without


def types_in(value):
    """Return the names of the components in a part of a recipe."""
    if isinstance(value, dict):
        inner = set().union(*(types_in(item) for item in value.values()))
        return inner | ({value["type"]} if "type" in value else set())
    if isinstance(value, list):
        return set().union(*(types_in(item) for item in value))
    return {value} if isinstance(value, str) else set()


@pytest.mark.usefixtures("site")
def test_the_snippets_of_the_reference_run():
    """A component without required options is imported, built, and written in a recipe."""
    run = 0
    for plural, name, component in components():
        page = ROOT / "docs" / "_generated" / "components" / plural / f"{name}.md"
        snippets = dict(
            re.findall(r"```(yaml|python)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        )
        if "python" not in snippets or "..." in snippets["python"]:
            continue
        *imports, call = snippets["python"].strip().splitlines()
        space: dict[str, object] = {}
        exec("\n".join([*imports, f"value = {call}"]), space)
        assert space["value"] == component()
        if plural != "targets":  # data sources choose them, no recipe does
            assert types_in(yaml.safe_load(snippets["yaml"])) >= {name}
        run += 1
    assert run > 40


SEARCHES = {
    "conflict-averse gradient descent": "weightings/cagrad",
    "CAGrad": "weightings/cagrad",
    "Liu Stone NeurIPS 2021": "weightings/cagrad",
    "gradient surgery": "weightings/pcgrad",
    "bargaining game": "weightings/nash-mtl",
    "multi-gate mixture-of-experts": "routers/mmoe",
    "uncertainty to weigh losses Kendall": "weightings/uncertainty",
    "progressive layered extraction": "routers/ple",
    "additive angular margin ArcFace": "heads/margin",
    "decoupled weight decay Loshchilov": "optimizers/adamw",
}
"""What a reader types into the search box, and the page that must be among the results."""


@pytest.mark.parametrize("words", SEARCHES)
def test_search_finds_a_component_by_its_paper(site, words):
    index = json.loads((site / "searchindex.js").read_text("utf-8")[len("Search.setIndex(") : -1])
    language = SearchEnglish({})
    results = set(range(len(index["docnames"])))
    for word in re.findall(r"\w+", words.lower()):
        if word in language.stopwords or word.isdigit():
            continue  # as the search page does
        pages = set()
        for terms in (index["terms"], index["titleterms"]):
            hits = terms.get(language.stem(word), terms.get(word, []))
            pages |= set(hits if isinstance(hits, list) else [hits])
        results &= pages
    names = {index["docnames"][page] for page in results}
    assert f"_generated/components/{SEARCHES[words]}" in names


def test_the_api_describes_every_namespace(site):
    for namespace in NAMESPACES:
        assert (site / "_generated" / "api" / f"{namespace}.html").is_file(), namespace
    api = (site / "_generated" / "api" / "mtlkit.heads.html").read_text(encoding="utf-8")
    assert "Return the float32 loss of each sample (N,)" in api  # a docstring, by autodoc


def test_every_command_is_in_the_reference(site):
    page = (site / "_generated" / "cli.html").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"mtlkit {name}" in page, name


def test_the_teaching_plugin_is_shown_whole(site):
    page = (site / "guide" / "weighting.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    for name in ("discount",):
        path = ROOT / "plugins" / "mtlkit-hello" / "mtlkit_hello" / f"{name}.py"
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first in text


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?:https?:)?//", text), page
