"""The tables of what runs cost, reached, searched for and failed at."""

from collections.abc import Mapping

from mtlkit.comparison.analysis.cost import costs
from mtlkit.comparison.analysis.evidence import deciding_budget
from mtlkit.comparison.analysis.pareto import trade
from mtlkit.comparison.analysis.sensitivity import chosen_settings, sensitivities
from mtlkit.comparison.report.report_table import ReportTable, Row, mark_best
from mtlkit.comparison.results.record import Record, Stage
from mtlkit.comparison.results.study_results import StudyResults
from mtlkit.report.history import duration

MEBIBYTE = 2**20


def costing(study: StudyResults, problem: str) -> ReportTable:
    """Time and memory beside equal weights."""
    rows = [
        Row(
            cells=(
                method,
                cost.relative,
                cost.step_seconds * 1000,
                duration(cost.seconds),
                round(cost.peak_memory_bytes / MEBIBYTE) or None,
                cost.parameters or None,
                cost.epochs,
            ),
            method=method,
        )
        for method, cost in costs(study, problem, deciding_budget(study)).items()
    ]
    return ReportTable(
        name="cost",
        title="TrainingCost",
        problem=problem,
        header=(
            *("method", "a step, times equal", "a step, ms", "training"),
            *("peak memory, MiB", "parameters", "epochs"),
        ),
        rows=tuple(rows),
        caption="Times are those of the fastest seed, memory is the most of any. Single-task "
        "networks are counted together: a step is one of each.",
    )


def trading(study: StudyResults, problem: str) -> ReportTable | None:
    """Volumes beside the sweep of constant weights; None where there is nothing to trade."""
    found = trade(study, problem, deciding_budget(study))
    if found is None:
        return None
    rows = [
        Row(cells=(method, 100 * found.volumes[method], 100 * found.gains[method]), method=method)
        for method in found.methods
    ]
    corner = ", ".join(f"{task} {value:.4g}" for task, value in found.reference.items())
    return ReportTable(
        name="hypervolume",
        title="Hypervolume",
        problem=problem,
        header=("method", "hypervolume, % of the box", "added to the sweep, points"),
        rows=tuple(mark_best(rows, 1)),
        caption=f"Validation split, all tasks. The sweep of {len(found.sweep)} constant "
        f"weightings has {100 * found.sweep_volume:.1f}%. The box reaches from the reference point "
        f"({corner}), a tenth beyond the worst value seen, to the best of each task. A method is "
        f"the mean of its seeds, a point of the sweep is one run.",
    )


def rates(study: StudyResults, problem: str) -> ReportTable | None:
    """How scores hang on the learning rate; None where it was not searched."""
    rows = []
    for name, found in sensitivities(study, problem).items():
        best = found.best or (None, None)
        cells = (name, *best, found.loss_of_median, len(found.points), len(found.failed))
        rows.append(Row(cells=cells, method=name.split(": ")[0]))
    if not rows:
        return None
    return ReportTable(
        name="learning-rates",
        title="Sensitivity to the learning rate",
        problem=problem,
        header=(
            *("method", "best rate", "its score", "median trial worse by, %"),
            *("trials", "failed"),
        ),
        rows=tuple(mark_best(rows, 3, higher_is_better=False)),
        caption="Trials of the search, judged on the validation split; a lower score is better.",
    )


def settings(study: StudyResults, problem: str) -> ReportTable | None:
    """What the searches chose; None where nothing was searched."""
    chosen: Mapping[str, Mapping[str, float | int | str | bool]] = chosen_settings(study, problem)
    paths = sorted({path for each in chosen.values() for path in each})
    if not paths:
        return None
    rows = [
        Row(cells=(name, *(_plain(each.get(path)) for path in paths)), method=name.split(": ")[0])
        for name, each in chosen.items()
    ]
    return ReportTable(
        name="settings",
        title="Settings that the searches chose",
        problem=problem,
        header=("method", *paths),
        rows=tuple(rows),
    )


def failures(study: StudyResults) -> ReportTable:
    """The runs that failed, with their errors."""
    rows = tuple(Row(cells=(r.key, _stage(r), r.error), method=r.method) for r in study.failed())
    return ReportTable(
        name="failures", title="Failed runs", header=("run", "for", "error"), rows=rows
    )


def _plain(value: float | int | str | bool | None) -> str | int | float | None:
    return str(value).lower() if isinstance(value, bool) else value


def _stage(record: Record) -> str:
    return f"trial {record.trial}" if record.stage is Stage.TRIAL else f"seed {record.seed}"
