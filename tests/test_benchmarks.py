"""The scripts of `benchmarks/` run with the code of today."""

import importlib
import math
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("test_"))


@pytest.fixture(autouse=True)
def _scripts_import_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_imports_and_states_its_command(name: str) -> None:
    script = importlib.import_module(name)
    assert script.__doc__ is not None
    assert f"benchmarks/{name}.py" in script.__doc__ or not hasattr(script, "main")


def test_the_loops_by_hand_take_a_step_with_every_engine() -> None:
    weightings = importlib.import_module("bench_weightings")
    engines = {"plain": weightings.plain, **weightings.peers()}
    del engines["torchjd autojac, NashMTL"]  # its solver warns of its own use, and takes seconds
    for engine in engines.values():
        weightings.by_hand(weightings.SMALL, engine)(0)


def test_the_loops_of_a_recipe_and_of_balance_take_a_step() -> None:
    own_loop = importlib.import_module("bench_own_loop")
    for weighting in own_loop.WEIGHTINGS.values():
        own_loop.by_balance(own_loop.attrs.evolve(own_loop.base.SMALL, weighting=weighting))(0)
    ratio, milliseconds = own_loop.base.paired(
        own_loop.base.updater(own_loop.base.SMALL).update,
        own_loop.base.by_hand(own_loop.base.SMALL, own_loop.base.plain),
        pairs=2,
    )
    assert math.isfinite(ratio)
    assert milliseconds > 0


def test_every_solver_of_many_tasks_is_timed() -> None:
    many_tasks = importlib.import_module("bench_many_tasks")
    for weighting in many_tasks.SOLVERS.values():
        assert many_tasks.solver_time(weighting, 4) > 0
