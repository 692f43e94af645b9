"""The studies on benchmark data: files, stored records and tables of the docs page."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from mtlkit import load_catalog
from mtlkit.comparison import Budget, ComparisonResult, load_comparison

pytest.importorskip("statsmodels", reason="needs the extra `compare`")

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(__file__).parents[1] / "benchmarks"
PAGE = (ROOT / "docs/explanation/which-weighting.md").read_text(encoding="utf-8")
BASELINES = ["single-task", "equal", "log", "tuned", "rlw"]

RECIPE = """
data: {type: table, file: points.csv, labels: [side, height], numeric: [height]}
backbone: {type: mlp, hidden: [4]}
tasks: {side: {}, height: {head: regression}}
optimizer: {type: adamw, lr: 0.01}
train: {epochs: 1, threads: 1}
"""
SMALL = """
problems: {points: recipe.yaml}
weightings: [cagrad]
seeds: 2
tuning: {trials: 2, search: {optimizer.lr: {low: 0.001, high: 0.1, log: true}}}
without: {single-task: for speed, log: for speed, rlw: for speed}
"""


@pytest.fixture
def scripts(monkeypatch):
    """The modules next to the results, by name."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    names = ("study", "stored_study", "study_tables", "literature")
    yield {name: __import__(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


def test_every_study_is_fair(scripts):
    studies = scripts["study"].STUDIES
    assert {path.stem for path in (SCRIPTS / "studies").glob("*.yaml")} == set(studies)
    for name in studies:
        comparison = scripts["stored_study"].load(name, Path("data"))
        methods = [method.name for method in comparison.methods]
        assert methods[:5] == BASELINES
        assert len(methods) >= 13
        assert len(comparison.seeds) >= 5
        assert comparison.tuning.searches >= 8


def test_the_tables_of_the_docs_are_those_of_the_records(scripts):
    for name, text in scripts["study_tables"].pages(scripts["study"].STUDIES).items():
        assert (SCRIPTS / "results" / "studies" / name).read_text(encoding="utf-8") == text, name
        assert f"results/studies/{name}" in PAGE


def test_the_page_estimates_every_study(scripts):
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| \d+ \| [\d.]+ min \|$", PAGE, re.MULTILINE)
    assert set(rows) == set(scripts["study"].STUDIES)


def test_published_gains_are_what_the_page_says(scripts):
    gains = scripts["literature"].literature()
    assert round(gains["Nash-MTL"]["nyuv2-segnet-mtan"], 1) == 9.6
    assert round(gains["Nash-MTL"]["nyuv2-deeplab"], 1) == 0.8
    for method in ("Nash-MTL", "Aligned-MTL", "DB-MTL"):
        assert min(gains[method].values()) > 0
    below = {name for name, gain in gains["CAGrad"].items() if gain < 0}
    assert below == {"office-31"}
    for table in ("qm9", "qm9-libmtl", "qm9-retuned"):
        best = max(row[table] for row in gains.values() if table in row)
        for method in ("UW", "SI"):
            assert gains[method].get(table, best) > best / 2
    assert gains["SI"]["celeba"] < 0 < gains["RLW"]["celeba"]
    assert gains["IMTL-G"]["qm9-libmtl"] < -1000 > gains["MoCo"]["qm9-libmtl"]


def test_findings_are_what_the_page_says():
    verdicts = ComparisonResult(SCRIPTS / "results/studies/tox21").verdicts()
    assert {verdicts[name] for name in ("log", "uncertainty", "mgda", "tuned")} == {"worse"}


def test_the_comparison_of_the_page_is_read(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "shown.yaml").write_text(shown)
    assert load_comparison(tmp_path / "shown.yaml", load_catalog()).tuning.trials == 8


@pytest.fixture
def points(tmp_path, monkeypatch, scripts):
    """A folder with the small study `points`; its data are in the folder `data`."""
    random = np.random.default_rng(0)
    rows = [
        f"{x},{y},{'left' if x < 0 else 'right'},{y - x}" for x, y in random.normal(size=(80, 2))
    ]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/points.csv").write_text("\n".join(["x,y,side,height", *rows]))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "points.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scripts["stored_study"], "FILES", tmp_path)
    monkeypatch.setattr(scripts["stored_study"], "RESULTS", tmp_path / "stored")
    return tmp_path


def test_a_study_continues_from_its_stored_records(scripts, points):
    run = scripts["stored_study"].run
    run("points", points / "data", 1)
    whole = ComparisonResult(points / "stored/points").results
    assert len(whole.records) == 12
    assert not whole.missing()
    metrics = {metric.metric for metric in whole.metrics("points")}
    assert len(metrics) > len(whole.primary_metrics)
    assert all(set(run.test) == metrics for run in whole.finals("points", "cagrad", Budget.EPOCHS))
    assert (points / "stored/points/figures/0.svg").exists()
    text = (points / "stored/points/results.jsonl").read_text()
    assert str(points) not in text + (points / "stored/points/report.md").read_text()

    lines = text.splitlines(keepends=True)
    (points / "stored/points/results.jsonl").write_text("".join(lines[:9]))  # stopped there
    (points / "runs").rename(points / "lost")
    run("points", points / "data", 1)
    assert len([*(points / "runs").rglob("status.json")]) == 3
    again = ComparisonResult(points / "stored/points").results
    for one, other in zip(whole.records, again.records, strict=True):
        assert (one.key, one.settings, one.test) == (other.key, other.settings, other.test)
