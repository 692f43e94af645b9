"""`mtlkit.comparison`, `tune` and `evaluate` as the page about comparisons shows them."""

import csv
import random
import re
from pathlib import Path

import attrs
import pytest

import mtlkit
from mtlkit.comparison import Budget, Comparison, ComparisonResult, Tuning
from mtlkit.errors import RecipeError
from mtlkit.runs.report import write_report
from mtlkit.weightings import GLS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "compare.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

RECIPE = """
data: {type: table, file: wine.csv, labels: [color, age], numeric: [age]}
backbone: {type: mlp, hidden: [4]}
tasks: {color: {role: main}, age: {head: {type: regression}}}
train: {epochs: 1, batch: 32, threads: 1, device: cpu}
"""


@pytest.fixture
def in_this_process(bench, monkeypatch):
    """Make runs without worker processes."""
    monkeypatch.setattr(
        "mtlkit.comparison.execute.executor_config.LocalProcesses",
        lambda workers, devices: bench.worker(workers),
    )


@pytest.fixture
def wine(tmp_path, monkeypatch):
    """The working directory of the page, with its recipe."""
    draw = random.Random(0)
    with (tmp_path / "wine.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["acid", "sugar", "color", "age"])
        for _ in range(120):
            acid, sugar = draw.random(), draw.random()
            rows.writerow([acid, sugar, "red" if acid > sugar else "white", acid + sugar + 1])
    (tmp_path / "wine.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mtlkit.runs.evaluate.write_report", write_report)
    return tmp_path


def test_the_snippets_of_the_page_run(wine, in_this_process, capsys):
    assert len(SNIPPETS) == 3
    for snippet in SNIPPETS:
        exec(compile(snippet, str(PAGE), "exec"), {"__name__": "__main__"})
    out = capsys.readouterr().out
    assert "runs/wine/report.html" in out
    assert re.search(r"\{('(cagrad|rlw)': '(better|worse|undecided)'(, )?){2}\}", out)
    assert "34" in out.splitlines()
    assert (wine / "runs/wine/report.html").is_file()
    tuned = mtlkit.load_recipe(wine / "runs/tuned/recipe.yaml", mtlkit.load_catalog())
    assert set(tuned.weighting.weights) == {"age"}
    assert "Compared with other runs" in (wine / "runs/plain/report.html").read_text()


def test_a_result_says_what_the_files_say(made):
    result = ComparisonResult(made[0].path)
    assert len(result.runs()) == 12
    assert {row["method"] for row in result.runs()} == {"single-task", "equal", "gls"}
    assert result.gains() == []  # one seed has no intervals
    assert result.verdicts() == {}
    assert result.report == made[0].report


def test_a_comparison_value_is_checked_like_a_file(bench, tiny):
    recipe = bench.load().problems["plane"].recipe
    comparison = Comparison.of({"plane": recipe}, {"gls": GLS()}, seeds=[3], without={"log": "x"})
    assert [method.name for method in comparison.methods] == [
        *("single-task", "equal", "tuned", "rlw", "gls")
    ]
    assert comparison.budgets == (Budget.EPOCHS,)
    searched = attrs.evolve(comparison, tuning=Tuning(trials=2, search={"optimizer.lt": (1, 2)}))
    with pytest.raises(RecipeError, match=r"tuning\.search\.optimizer\.lt: .* there is no 'lt'"):
        mtlkit.compare(searched, bench.folder / "study", catalog=tiny.catalog())
