"""Studies that were never run, made by the generator of the benchmarks."""

import importlib.util
from pathlib import Path

import attrs
import numpy as np
import pytest

GENERATOR = Path(__file__).parents[3] / "benchmarks" / "synthetic_study.py"


@pytest.fixture(scope="session")
def synthetic():
    """The module that draws studies of known truth."""
    spec = importlib.util.spec_from_file_location("synthetic_study", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def draw(synthetic):
    """A study drawn from a truth given by its fields."""

    def drawn(seed=0, **truth):
        return synthetic.draw_study(synthetic.Truth(**truth), np.random.default_rng(seed))

    return drawn


@pytest.fixture(scope="session")
def reported(synthetic, tmp_path_factory):
    """The folder of a study of two problems with its reports; some runs failed."""
    from mtlkit.comparison.report.write import write_reports

    truth = attrs.evolve(synthetic.EXAMPLE, problems=("faces", "a <b> & co"), trials=3)
    study = synthetic.draw_study(truth, np.random.default_rng(1))
    lost = "loss of <age> is not finite at step 212"
    records = [
        attrs.evolve(r, error=lost, validation={}, test={})
        if r.method == "gradnorm" and r.seed == 4 and r.trial is None
        else r
        for r in study.records
    ]
    folder = tmp_path_factory.mktemp("studies") / "known"
    synthetic.write_study(folder, attrs.evolve(study, records=tuple(records)), logged_steps=30)
    write_reports(folder)
    return folder
