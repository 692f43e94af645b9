"""docs/explanation/scale.md shows what its script prints, and the formulas hold for the results."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/scale.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks/results/sharded-head.json"


@pytest.fixture
def plan_scale():
    path = ROOT / "benchmarks/plan_scale.py"
    spec = importlib.util.spec_from_file_location("plan_scale", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("options", [[], ["--check", str(RESULTS)]], ids=["plan", "check"])
def test_the_page_shows_what_the_script_prints(plan_scale, options, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plan_scale.py", *options])
    plan_scale.main()
    assert capsys.readouterr().out in PAGE


def test_the_formulas_hold_for_the_measured_cases(plan_scale):
    results = json.loads(RESULTS.read_text())
    assert len(results["cells"]) == 9
    for line, cell in zip(
        plan_scale.check(RESULTS).splitlines()[2:], results["cells"], strict=True
    ):
        _, _, _, memory, _, seconds, _, _ = (part.strip() for part in line.split("|"))
        assert -40 < cell["mib"] - float(memory) < 60, line
        assert cell["seconds"] == pytest.approx(float(seconds), rel=0.25, abs=0.025), line
