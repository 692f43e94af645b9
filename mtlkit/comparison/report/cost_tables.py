"""Tables of the cost of runs, the trade between tasks, the searches, and failures."""

from mtlkit.comparison.analysis.cost import costs
from mtlkit.comparison.analysis.evidence import deciding_budget
from mtlkit.comparison.analysis.pareto import trade
from mtlkit.comparison.analysis.sensitivity import chosen_settings, sensitivities
from mtlkit.comparison.results.record import Record, Stage
from mtlkit.comparison.results.study_results import StudyResults
from mtlkit.report.blocks import Cell, TableBlock
from mtlkit.report.numbers import duration


def cost_table(study: StudyResults, problem: str) -> TableBlock:
    """Return time and memory of each method, relative to equal weights."""
    rows = [
        (
            method,
            cost.relative,
            cost.step_seconds * 1000,
            duration(cost.seconds),
            round(cost.peak_memory_bytes / 2**20) or None,
            cost.parameters or None,
            cost.epochs,
        )
        for method, cost in costs(study, problem, deciding_budget(study)).items()
    ]
    return TableBlock(
        name="cost",
        title="Cost",
        header=(
            *("method", "a step, times equal", "a step, ms", "training"),
            *("peak memory, MiB", "parameters", "epochs"),
        ),
        rows=tuple(rows),
        caption="Times are those of the fastest seed, memory is the largest of any. Single-task "
        "networks are counted together: a step is one of each.",
    )


def trade_table(study: StudyResults, problem: str) -> TableBlock | None:
    """Return hypervolumes next to that of the sweep of constant weights; None without a trade."""
    result = trade(study, problem, deciding_budget(study))
    if result is None:
        return None
    rows = [
        (method, 100 * result.volumes[method], 100 * result.gains[method])
        for method in result.methods
    ]
    corner = ", ".join(f"{task} {value:.4g}" for task, value in result.reference.items())
    return TableBlock(
        name="hypervolume",
        title="Hypervolume",
        header=("method", "hypervolume, % of the box", "added to the sweep, points"),
        rows=tuple(rows),
        caption=f"Validation split, all tasks. The sweep of {len(result.sweep)} constant "
        f"weightings has {100 * result.sweep_volume:.1f}%. The box reaches from the reference "
        f"point ({corner}), a tenth beyond the worst value seen, to the best of each task. A "
        f"method is the mean of its seeds, a point of the sweep is one run.",
    ).mark_best({1: True})


def rate_table(study: StudyResults, problem: str) -> TableBlock | None:
    """Return the sensitivity of scores to the learning rate; None if it was not searched."""
    rows: list[tuple[Cell, ...]] = []
    for name, result in sensitivities(study, problem).items():
        best = result.best or (None, None)
        rows.append((name, *best, result.loss_of_median, len(result.points), len(result.failed)))
    if not rows:
        return None
    return TableBlock(
        name="learning-rates",
        title="Sensitivity to the learning rate",
        header=(
            *("method", "best rate", "its score", "median trial worse by, %"),
            *("trials", "failed"),
        ),
        rows=tuple(rows),
        caption="Trials of the search, scored on the validation split; a lower score is better.",
    ).mark_best({3: False})


def settings_table(study: StudyResults, problem: str) -> TableBlock | None:
    """Return the settings that the searches chose; None if nothing was searched."""
    chosen = chosen_settings(study, problem)
    paths = sorted({path for settings in chosen.values() for path in settings})
    if not paths:
        return None
    rows = [
        (name, *(_plain(settings.get(path)) for path in paths)) for name, settings in chosen.items()
    ]
    return TableBlock(
        name="settings",
        title="Settings that the searches chose",
        header=("method", *paths),
        rows=tuple(rows),
    )


def failure_table(study: StudyResults) -> TableBlock:
    """Return the runs that failed, with their errors."""
    failed = study.failed()
    return TableBlock(
        name="failures",
        header=("run", "for", "error"),
        rows=tuple((record.key, _stage(record), record.error) for record in failed),
        groups=tuple(record.method for record in failed),
    )


def _plain(value: float | int | str | bool | None) -> str | int | float | None:
    return str(value).lower() if isinstance(value, bool) else value


def _stage(record: Record) -> str:
    return f"trial {record.trial}" if record.stage is Stage.TRIAL else f"seed {record.seed}"
