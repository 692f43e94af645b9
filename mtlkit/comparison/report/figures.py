"""The figures of a study's page."""

import itertools
from collections.abc import Iterator, Mapping

from mtlkit.comparison.analysis.cost import costs
from mtlkit.comparison.analysis.evidence import Evidence, deciding_budget
from mtlkit.comparison.analysis.pareto import Trade, front, trade
from mtlkit.comparison.analysis.sensitivity import sensitivities
from mtlkit.comparison.analysis.statistics import bootstrap_mean
from mtlkit.comparison.analysis.traces import Curve, Traces
from mtlkit.comparison.report.plotly_parts import (
    AT,
    COLOURS,
    Choice,
    Figure,
    Look,
    Trace,
    axes,
    curve,
    interval,
    method_point,
    method_rows,
    seed_marks,
)
from mtlkit.comparison.report.tables import improvement
from mtlkit.comparison.results.record import Budget, Judged
from mtlkit.comparison.results.study_results import BASELINE_ROLES, StudyResults


def forest(evidence: Evidence, problem: str, role: str, looks: Mapping[str, Look]) -> Figure | None:
    """Delta-m of each method against a baseline: bootstrap interval thick, Student's thin."""
    study, budget = evidence.study, deciding_budget(evidence.study)
    reference = study.baseline(role)
    found = [
        (method, estimate)
        for method in study.methods
        if (estimate := improvement(study, problem, method, role, budget)) is not None
    ]
    traces: list[Trace] = []
    for method, estimate in sorted(found, key=lambda item: item[1].mean):
        compared = evidence.family.of(problem, method, reference or "")
        told = f"{estimate.count} seeds"
        if compared is not None:
            thin = compared.estimate
            traces.append(interval(method, thin, looks[method], 1.3, "skip", size=0))
            told += f"<br>adjusted p = {compared.adjusted:.2g}"
        traces.append(interval(method, estimate, looks[method], 5, told))
    if not traces:
        return None
    return Figure(
        title=f"Δm against {reference}",
        traces=traces,
        layout=method_rows("Δm in percent: better to the right", zero=True),
        caption="Mean over seeds; thick: bootstrap interval, thin: Student's, by which the verdict "
        "goes before it is adjusted for the number of comparisons.",
        rows=True,
    )


def task_intervals(
    study: StudyResults, problem: str, looks: Mapping[str, Look]
) -> Iterator[Figure]:
    """For each task, the metric of each method: seeds, mean and bootstrap interval."""
    budget = deciding_budget(study)
    for judged in study.tasks(problem):
        traces: list[Trace] = []
        for method in reversed(study.methods):
            scores = study.scores(problem, method, budget)
            values = [scores[seed][judged.task] for seed in scores]
            if values:
                estimate = bootstrap_mean(values)
                traces.append(seed_marks(method, scores, judged.task, looks[method]))
                told = f"{estimate.count} seeds"
                traces.append(interval(method, estimate, looks[method], 3, told))
        if traces:
            better = "right" if judged.higher_is_better else "left"
            yield Figure(
                title=judged.task,
                traces=traces,
                layout=method_rows(f"{judged.metric}: better to the {better}"),
                rows=True,
            )


def pareto(study: StudyResults, problem: str, looks: Mapping[str, Look]) -> Choice | None:
    """The sweep of constant weights and every method, for each pair of tasks."""
    found = trade(study, problem, deciding_budget(study))
    if found is None:
        return None
    options = {
        f"{a.task} and {b.task}": (_pair(found, a, b, looks),)
        for a, b in itertools.combinations(found.tasks, 2)
    }
    return Choice(
        title="The sweep and the methods",
        asks="Tasks",
        options=options,
        caption="Validation split. Grey: trials of tuned scalarisation, joined where none beats "
        "them in both tasks. A method is the mean of its seeds, a trial is one run, so the best "
        "trials owe something to chance.",
    )


def cost_and_gain(study: StudyResults, problem: str, looks: Mapping[str, Look]) -> Figure | None:
    """What a step costs and what it brings."""
    budget = deciding_budget(study)
    traces = []
    for method, cost in costs(study, problem, budget).items():
        estimate = improvement(study, problem, method, "equal", budget)
        mean = estimate.mean if estimate is not None else 0.0  # equal against itself
        if cost.relative is not None and (
            estimate is not None or method == study.baseline("equal")
        ):
            told = f"{cost.peak_memory_bytes / 2**20:,.0f} MiB" if cost.peak_memory_bytes else ""
            traces.append(method_point(method, cost.relative, mean, looks[method], told))
    if len(traces) < 2:
        return None
    layout = axes("time of a step, times equal", "Δm against equal, %")
    return Figure(title="TrainingCost and gain", traces=traces, layout=layout)


def two_budgets(study: StudyResults, problem: str, looks: Mapping[str, Look]) -> Figure | None:
    """Delta-m against equal at equal epochs (full) and at equal time (hollow)."""
    if len(study.budgets) < 2:
        return None
    traces: list[Trace] = []
    for method in reversed(study.methods):
        each = [(b, improvement(study, problem, method, "equal", b)) for b in study.budgets]
        known = [(budget, estimate) for budget, estimate in each if estimate is not None]
        if not known:
            continue
        traces.append(
            {
                **{"type": "scatter", "mode": "lines+markers", "name": method, "meta": method},
                "x": [estimate.mean for _, estimate in known],
                "y": [method] * len(known),
                "line": {"color": looks[method].colour, "width": 1.5},
                "marker": {
                    "color": looks[method].colour,
                    "size": 10,
                    "symbol": ["circle" if b is Budget.EPOCHS else "circle-open" for b, _ in known],
                    "line": {"width": 2, "color": looks[method].colour},
                },
                "customdata": [budget.value for budget, _ in known],
                "hovertemplate": "%{y}, equal %{customdata}: %{x:+.2f}%<extra></extra>",
            }
        )
    if not traces:
        return None
    return Figure(
        title="Equal epochs and equal time",
        traces=traces,
        layout=method_rows("Δm against equal, in percent", zero=True),
        caption="Full: equal epochs. Hollow: equal time.",
        rows=True,
    )


def learning_rates(study: StudyResults, problem: str, looks: Mapping[str, Look]) -> Figure | None:
    """The score of each trial over its learning rate."""
    traces = []
    for name, found in sensitivities(study, problem).items():
        method = name.split(": ")[0]
        look = looks.get(method)
        if found.points and look is not None:
            trace = curve(name, found.points, look.colour)
            hover = f"{name}<br>rate %{{x:.3g}}, score %{{y:.4g}}<extra></extra>"
            marker = {"symbol": look.symbol, "size": 7, "color": look.colour}
            trace |= {"mode": "lines+markers", "meta": method, "marker": marker}
            traces.append(trace | {"hovertemplate": hover})
    if not traces:
        return None
    layout = axes("learning rate", "score: better down")
    layout["xaxis"] |= {"type": "log", "dtick": 1}
    title = "Sensitivity to the learning rate"
    return Figure(title=title, traces=traces, layout=layout, caption="Trials of the searches.")


def traces(study: StudyResults, found: Mapping[str, Traces]) -> Choice | None:
    """Weights and cosines of a method that the reader picks; baselines come last."""
    if not found:
        return None
    options = {}
    baselines = {study.baseline(role) for role in BASELINE_ROLES}
    for method, one in sorted(found.items(), key=lambda item: item[0] in baselines):
        title = f"Weights of the losses, {method}"
        figures = [_curves(title, one.weights, "weight")]
        if one.cosines:
            title = f"Cosines between the tasks' gradients, {method}"
            figures.append(_curves(title, one.cosines, "cosine"))
        options[method] = tuple(figures)
    return Choice(
        title="Weights and gradients",
        asks="Method",
        options=options,
        caption="One run, that of the first seed, thinned to what can be seen.",
    )


def _curves(title: str, curves: Mapping[str, Curve], name: str) -> Figure:
    colours = {key: f"var(--series-{place % COLOURS})" for place, key in enumerate(curves)}
    layout = axes("epoch", name)
    layout |= {"showlegend": True, "hovermode": "x unified"}
    drawn = [curve(key, points, colours[key]) for key, points in curves.items()]
    return Figure(title=title, traces=drawn, layout=layout)


def _pair(found: Trade, a: Judged, b: Judged, looks: Mapping[str, Look]) -> Figure:
    sweep = [(point[a.task], point[b.task]) for point in found.sweep]
    best = front(found.sweep, (a, b))
    grey = {"color": "var(--muted)", "size": 6, "opacity": 0.6}
    drawn: list[Trace] = []
    if sweep:
        points = {"mode": "markers", "marker": grey, "hovertemplate": AT.format("trial of tuned")}
        drawn.append(curve("sweep", sweep, "var(--muted)") | points)
        edge = [(point[a.task], point[b.task]) for point in best]
        step = "vh" if a.higher_is_better else "hv"  # what is reached between two points
        stroke = {"color": "var(--muted)", "width": 1.2, "shape": step}
        drawn.append(curve("front", edge, "") | {"line": stroke, "hoverinfo": "skip"})
    for method, point in found.methods.items():
        drawn.append(method_point(method, point[a.task], point[b.task], looks[method], ""))
    arrows = [f"{j.metric} {'↑' if j.higher_is_better else '↓'}" for j in (a, b)]
    return Figure(title="", traces=drawn, layout=axes(*arrows), wide=True)
