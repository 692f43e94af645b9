"""The charts of a study's page."""

import itertools
from collections.abc import Iterator, Mapping

import attrs

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM, PairedComparison
from mtlkit.comparison.analysis.cost import costs
from mtlkit.comparison.analysis.evidence import Evidence, deciding_budget
from mtlkit.comparison.analysis.pareto import Trade, front, trade
from mtlkit.comparison.analysis.sensitivity import sensitivities
from mtlkit.comparison.analysis.statistics import bootstrap_mean
from mtlkit.comparison.analysis.text import SPOKEN, by_how_much
from mtlkit.comparison.analysis.traces import Curve, Traces
from mtlkit.comparison.report.styles import VERDICTS, MethodStyles
from mtlkit.comparison.report.tables import improvement
from mtlkit.comparison.results.record import Budget, TaskMetric
from mtlkit.comparison.results.study_results import BASELINE_ROLES, StudyResults
from mtlkit.report.blocks import Chart, Estimate, Series, Style
from mtlkit.report.overlay import palette
from mtlkit.report.page import ChartChoice


def opening(evidence: Evidence, styles: MethodStyles) -> list[Chart | ChartChoice]:
    """Return the pictures at the top: gains over equal weights, and the Pareto front."""
    study = evidence.study
    problems = (EVERY_PROBLEM, *study.problems) if len(study.problems) > 1 else study.problems
    forests = {p: chart for p in problems if (chart := forest(evidence, p, "equal"))}
    fronts = {
        (f"{problem}: {pair}" if len(study.problems) > 1 else pair): chart
        for problem in study.problems
        for pair, chart in pareto(study, problem, styles).items()
    }
    if not fronts:
        fronts = {p: c for p in study.problems if (c := cost_and_gain(study, p, styles))}
    pictures: list[Chart | ChartChoice] = []
    for asks, charts in (("Problem", forests), ("Tasks", fronts)):
        pictures += list(charts.values()) if len(charts) == 1 else choice(asks, charts)
    return pictures


def choice(asks: str, charts: Mapping[str, Chart]) -> list[ChartChoice]:
    """Return the choice among charts with one title; nothing without charts."""
    if not charts:
        return []
    title = next(iter(charts.values())).title
    options = {name: (attrs.evolve(chart, title=""),) for name, chart in charts.items()}
    return [ChartChoice(title=title, asks=asks, options=options)]


def forest(evidence: Evidence, problem: str, role: str) -> Chart | None:
    """Return delta-m of each method against a baseline, colored by verdict, best first."""
    study, budget = evidence.study, deciding_budget(evidence.study)
    reference = study.baseline(role)
    gains: list[tuple[str, Estimate, PairedComparison | None]] = []
    for method in study.methods:
        compared = evidence.family.of(problem, method, reference or "")
        if compared is not None:
            gains.append((method, compared.estimate, compared))
        elif problem != EVERY_PROBLEM:
            estimate = improvement(study, problem, method, role, budget)
            gains += [(method, estimate, None)] if estimate is not None else []
    series = {}
    for method, estimate, compared in sorted(gains, key=lambda gain: -gain[1].mean):
        word = "undecided"
        note = f"{method}: {estimate.mean:+.2f}%, one seed"
        if compared is not None:
            word = compared.verdict
            note = f"{method}: {by_how_much(compared)}<br>{word}, {estimate.count} seeds"
        series[method] = _interval(method, estimate, VERDICTS[word], note, label=word)
    if not series:
        return None
    return Chart(
        title=f"Gain over {SPOKEN[role]}" if role == "equal" else f"Against {SPOKEN[role]}",
        kind="intervals",
        x_label="",
        y_label="Δm, %: better to the right",
        series=series,
        zero=True,
        caption=f"{'The mean of all problems' if problem == EVERY_PROBLEM else problem}: mean over "
        "seeds of the test split, with Student's interval of 95%. The color is the verdict, which "
        "also adjusts for the number of comparisons.",
    )


def task_intervals(study: StudyResults, problem: str, styles: MethodStyles) -> Iterator[Chart]:
    """Yield for each task the metric of each method: seeds, mean and bootstrap interval."""
    budget = deciding_budget(study)
    for judged in study.tasks(problem):
        series: dict[str, Series] = {}
        for method in study.methods:
            scores = study.scores(problem, method, budget)
            values = [scores[seed][judged.task] for seed in scores]
            if values:
                estimate = bootstrap_mean(values)
                note = f"{method}: {estimate.mean:.4g}<br>{estimate.count} seeds"
                series[f"{method}, seeds"] = Series(
                    x=(method,) * len(values),
                    y=tuple(values),
                    notes=tuple(f"{method}, seed {seed}: {scores[seed][judged.task]:.4g}"
                                for seed in scores),
                    group=method,
                    style=Style(color=styles[method].color, symbol="tick"),
                )  # fmt: skip
                series[method] = _interval(method, estimate, styles[method], note)
        if series:
            better = "right" if judged.higher_is_better else "left"
            yield Chart(
                title=judged.task,
                kind="intervals",
                x_label="",
                y_label=f"{judged.metric}: better to the {better}",
                series=series,
            )


def pareto(study: StudyResults, problem: str, styles: MethodStyles) -> dict[str, Chart]:
    """Return the sweep of constant weights and every method, for each pair of tasks."""
    tradeoff = trade(study, problem, deciding_budget(study))
    if tradeoff is None:
        return {}
    return {
        f"{a.task} and {b.task}": _pair(tradeoff, a, b, styles)
        for a, b in itertools.combinations(tradeoff.tasks, 2)
    }


def _pair(tradeoff: Trade, a: TaskMetric, b: TaskMetric, styles: MethodStyles) -> Chart:
    def points(of: list[Mapping[str, float]] | tuple[Mapping[str, float], ...]) -> Series:
        return Series(
            x=tuple(point[a.task] for point in of),
            y=tuple(point[b.task] for point in of),
            style=Style(color="var(--muted)", symbol="circle"),
        )

    series: dict[str, Series] = {}
    if tradeoff.sweep:
        line = "vh" if a.higher_is_better else "hv"  # the region between two points is reached
        edge = points(tuple(front(tradeoff.sweep, (a, b))))
        series["front of tuned constant weights"] = Series(
            x=edge.x, y=edge.y, style=Style(color="var(--muted)", line=line), group=""
        )
        series["trial of constant weights"] = points(tradeoff.sweep)
    for method, point in tradeoff.methods.items():
        series[method] = _point(method, point[a.task], point[b.task], styles[method])
    arrows = [f"{j.metric} {'↑' if j.higher_is_better else '↓'}" for j in (a, b)]
    return Chart(
        title="Trade between tasks",
        kind="points",
        x_label=arrows[0],
        y_label=arrows[1],
        series=series,
        labeled=True,
        caption="Validation split. A method is the mean of its seeds, a trial of constant weights "
        "is one run, so the best trials are partly luck.",
    )


def cost_and_gain(study: StudyResults, problem: str, styles: MethodStyles) -> Chart | None:
    """Return the cost of a step and the gain over equal weights; None without two methods."""
    budget = deciding_budget(study)
    series = {}
    for method, cost in costs(study, problem, budget).items():
        estimate = improvement(study, problem, method, "equal", budget)
        mean = estimate.mean if estimate is not None else 0.0  # equal against itself
        known = estimate is not None or method == study.baseline("equal")
        if cost.relative is not None and known:
            memory = f"{cost.peak_memory_bytes / 2**20:,.0f} MiB" if cost.peak_memory_bytes else ""
            series[method] = _point(method, cost.relative, mean, styles[method], memory)
    if len(series) < 2:
        return None
    return Chart(
        title="Cost and gain",
        kind="points",
        x_label="time of a step, times equal",
        y_label="Δm against equal, %",
        series=series,
        labeled=True,
    )


def two_budgets(study: StudyResults, problem: str) -> Chart | None:
    """Return delta-m against equal at equal epochs and at equal time; None for one budget."""
    if len(study.budgets) < 2:
        return None
    series = {}
    for method in study.methods:
        for budget in study.budgets:
            estimate = improvement(study, problem, method, "equal", budget)
            if estimate is not None:
                first = budget is Budget.EPOCHS
                style = Style(
                    color=palette(0 if first else 1), symbol="circle" if first else "circle-open"
                )
                label = f"equal {budget.value}"
                note = f"{method}, {label}: {estimate.mean:+.2f}%"
                series[f"{method}, {label}"] = _interval(method, estimate, style, note, label=label)
    if not series:
        return None
    return Chart(
        title="Equal epochs and equal time",
        kind="intervals",
        x_label="",
        y_label="Δm against equal, %",
        series=series,
        zero=True,
    )


def learning_rates(study: StudyResults, problem: str, styles: MethodStyles) -> Chart | None:
    """Return the score of each trial over its learning rate; None if it was not searched."""
    series = {}
    for name, sensitivity in sensitivities(study, problem).items():
        method = name.split(": ")[0]
        if sensitivity.points and method in styles:
            series[name] = _series(sensitivity.points, method, styles[method])
    if not series:
        return None
    return Chart(
        title="Sensitivity to the learning rate",
        kind="line",
        x_label="learning rate",
        y_label="score: better down",
        series=series,
        x_log=True,
        caption="Trials of the searches.",
    )


def training_traces(study: StudyResults, by_method: Mapping[str, Traces]) -> ChartChoice | None:
    """Return weights and cosines of a method that the reader picks; baselines come last."""
    if not by_method:
        return None
    baselines = {study.baseline(role) for role in BASELINE_ROLES}
    options = {}
    for method, traces in sorted(by_method.items(), key=lambda item: item[0] in baselines):
        charts = [_curves("Weights of the losses", traces.weights, "weight")]
        if traces.cosines:
            charts.append(_curves("Cosines between the tasks' gradients", traces.cosines, "cosine"))
        options[method] = tuple(charts)
    return ChartChoice(
        title="Weights and gradients",
        asks="Method",
        options=options,
        caption="One run, that of the first seed, thinned to what a screen resolves.",
        wide=True,
    )


def _curves(title: str, curves: Mapping[str, Curve], y_label: str) -> Chart:
    series = {name: _series(points, "", Style()) for name, points in curves.items()}
    return Chart(title=title, kind="line", x_label="epoch", y_label=y_label, series=series)


def _series(points: Curve, method: str, style: Style) -> Series:
    x, y = zip(*points, strict=True)
    return Series(x=x, y=y, group=method, style=style)


def _point(method: str, x: float, y: float, style: Style, note: str = "") -> Series:
    text = f"{method}<br>{x:.4g}, {y:.4g}" + (f"<br>{note}" if note else "")
    return Series(x=(x,), y=(y,), notes=(text,), group=method, style=style)


def _interval(method: str, estimate: Estimate, style: Style, note: str, label: str = "") -> Series:
    return Series(
        x=(method,),
        y=(estimate.mean,),
        low=() if estimate.low is None else (estimate.low,),
        high=() if estimate.high is None else (estimate.high,),
        notes=(note,),
        group=method,
        label=label,
        style=style,
    )
