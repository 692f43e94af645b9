"""The hooks that observe a run."""

from pathlib import Path
from types import SimpleNamespace

from mtlkit.runs import EpochEnded, Evaluated, RunInfo
from mtlkit_hello.observer import mtlkit_epoch_ended, mtlkit_report_sections

EVALUATED = Evaluated(step=4, epoch=2.0, metrics={}, final=True)


def observed(folder: Path, module: str) -> RunInfo:
    """Return a run with two epochs on data of a class that `module` defines."""
    recipe = SimpleNamespace(data=SimpleNamespace(__module__=module))
    run = RunInfo(folder=folder, recipe=recipe, device="cpu")
    for epoch, seconds in ((1, 2.0), (2, 5.0)):
        mtlkit_epoch_ended(run, EpochEnded(epoch=epoch, step=2 * epoch, seconds=seconds))
    return run


def test_the_report_shows_the_duration_of_each_epoch(tmp_path):
    [section] = mtlkit_report_sections(observed(tmp_path, "mtlkit_hello.data"), EVALUATED)
    [chart] = section.blocks
    assert (chart.series["duration"].x, chart.series["duration"].y) == ((1, 2), (2.0, 3.0))


def test_runs_on_other_data_are_left_alone(tmp_path):
    assert list(mtlkit_report_sections(observed(tmp_path, "mtlkit.data.table"), EVALUATED)) == []
    assert list(tmp_path.iterdir()) == []
