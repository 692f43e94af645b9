"""The docs site builds without a warning and fetches nothing, and the reference is complete."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit.plugins.catalog import load_catalog

ROOT = Path(__file__).parents[2]


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


def test_the_reference_has_every_component_and_every_public_name(site):
    components = (site / "_generated" / "components.html").read_text(encoding="utf-8")
    for registry in load_catalog("none").families().values():
        for entry in registry:
            assert f"{entry.name} ({registry.family})" in components, entry.name
    api = (site / "_generated" / "api.html").read_text(encoding="utf-8")
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for module in re.findall(r"^\| `(mtlkit[\w.]*)` \|", table, re.MULTILINE):
        assert f"{module}<" in api, module
    assert "The loss of each sample (N,) in float32" in api  # a docstring, by autodoc


def test_the_teaching_plugin_is_shown_whole(site):
    page = (site / "guide" / "weighting.html").read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    for name in ("discount", "discount_weights"):
        path = ROOT / "plugins" / "mtlkit-hello" / "mtlkit_hello" / f"{name}.py"
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first in text


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?:https?:)?//", text), page
