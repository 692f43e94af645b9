"""The comparison that docs/how-to/compare.md shows is read, and the page names every baseline."""

import re
from pathlib import Path

from mtlkit import load_catalog
from mtlkit.cli.commands.compare import compare
from mtlkit.comparison.spec.comparison import BASELINES
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.comparison.spec.resources import Resources

ROOT = Path(__file__).parents[2]

FACES = """
data: {type: face/rendered, subjects: 100, test_subjects: 60, size: 48}
backbone: casia-net
tasks: {identity: {role: main, target: subject}, pose: {target: yaw}}
evaluators: [face/identification]
"""


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_comparison_shown_is_read(tmp_path):
    catalog = load_catalog("all")
    for name in ("small", "wine"):
        (tmp_path / f"{name}.yaml").write_text(FACES)
    (full,) = blocks("docs/how-to/compare.md", "yaml")
    (tmp_path / "comparison.yaml").write_text(full)
    comparison = load_comparison(tmp_path / "comparison.yaml", catalog)
    assert comparison.tuning.trials == 8
    names = [method.name for method in comparison.methods if method in BASELINES]
    assert names == ["single-task", "equal", "log", "tuned"]


def test_the_resources_shown_are_read_and_its_options_exist(tmp_path):
    (tmp_path / "small.yaml").write_text(FACES)
    (shown,) = blocks("docs/how-to/clusters.md", "yaml")
    (tmp_path / "comparison.yaml").write_text(shown)
    resources = load_comparison(tmp_path / "comparison.yaml", load_catalog("all")).resources
    assert resources == Resources(cpus=2, gpus=0.5, memory="4 GiB")
    page = (ROOT / "docs/how-to/clusters.md").read_text(encoding="utf-8")
    options = {option for parameter in compare.params for option in parameter.opts}
    for option in re.findall(r"[` ](--[a-z][a-z-]+)", page):
        assert option in options | {"--head", "--port", "--address"}, option


def test_the_page_names_every_baseline():
    page = (ROOT / "docs/how-to/compare.md").read_text(encoding="utf-8")
    for method in BASELINES:
        assert f"| `{method.name}` |" in page
