"""The comparisons that the README and the page show can be run."""

import re
from pathlib import Path

from mtlkit import load_catalog
from mtlkit.comparison.spec.comparison import BASELINES
from mtlkit.comparison.spec.load import load_comparison

ROOT = Path(__file__).parents[2]


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_comparisons_shown_are_read(tmp_path):
    catalog = load_catalog("all")
    recipe, short = (text for text in blocks("README.md", "yaml") if ":" in text)
    for name in ("recipe", "small", "wine"):
        (tmp_path / f"{name}.yaml").write_text(recipe)
    (full,) = blocks("docs/compare.md", "yaml")
    for text in (short, full):
        (tmp_path / "comparison.yaml").write_text(text)
        assert load_comparison(tmp_path / "comparison.yaml", catalog).tuning.trials == 8
    assert [method.name for method in load_comparison(tmp_path / "comparison.yaml", catalog).methods
            if method in BASELINES] == ["single-task", "equal", "log", "tuned"]  # fmt: skip


def test_the_page_names_every_baseline():
    page = (ROOT / "docs/compare.md").read_text(encoding="utf-8")
    for method in BASELINES:
        assert f"| `{method.name}` |" in page
