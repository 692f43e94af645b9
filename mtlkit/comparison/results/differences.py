"""Differences between two finished runs or two studies, as tables."""

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from yaml import MappingNode, Node, ScalarNode

from mtlkit.comparison.results.record import Stage, TaskMetric
from mtlkit.comparison.results.store import StudyFolder, open_study
from mtlkit.errors import RunError
from mtlkit.recipe_io.layers import read_text
from mtlkit.recipe_io.source_location import RefusedError
from mtlkit.recipe_io.yaml_nodes import entries
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.report.numbers import number
from mtlkit.runs.report import read_evaluation
from mtlkit.runs.storage.changes import require_recipe
from mtlkit.runs.storage.folder import open_run, read_json

Row: TypeAlias = tuple[str, ...]
"""A name, and its values in the first and the second run or study."""


def differences(one: Path, other: Path) -> dict[str, list[Row]]:
    """Return tables by title: differences in settings and in results.

    Raises `RunError` for a folder that is neither an evaluated run nor a study, and for one of
    each.
    """
    kinds = [StudyFolder(path).study.is_file() for path in (one, other)]
    if all(kinds):
        return _of_studies(open_study(one), open_study(other))
    if any(kinds):
        study, run = (one, other) if kinds[0] else (other, one)
        raise RunError(f"{study} is a study and {run} is none; expected two of a kind")
    return _of_runs(one, other)


def _of_runs(one: Path, other: Path) -> dict[str, list[Row]]:
    folders = [open_run(path) for path in (one, other)]
    for folder in folders:
        require_recipe(folder, read_json(folder.provenance))
    recipes = [flat_yaml(folder.recipe) for folder in folders]
    evaluations = [read_evaluation(folder) for folder in folders]
    return {
        "recipe": list(_texts(*recipes)),
        "budget": list(_numbers(evaluations[0].budget, evaluations[1].budget)),
        "metrics": list(_numbers(evaluations[0].metrics, evaluations[1].metrics)),
    }


def _of_studies(one: StudyFolder, other: StudyFolder) -> dict[str, list[Row]]:
    options = [flat_yaml(folder.comparison) for folder in (one, other)]
    for folder, into in zip((one, other), options, strict=True):
        for problem in read_json(folder.study)["problems"]:
            recipe = flat_yaml(folder.recipe(problem))
            into |= {f"{problem}: {path}": value for path, value in recipe.items()}
    return {
        **_unfinished(one, other),
        "comparison": list(_texts(*options)),
        "mean over seeds": list(_numbers(_means(one), _means(other))),
    }


def _unfinished(one: StudyFolder, other: StudyFolder) -> dict[str, list[Row]]:
    """Return a table of how many runs have ended, if some of either study have not."""
    counts = [
        (len(folder.records()), int(read_json(folder.study)["runs"])) for folder in (one, other)
    ]
    if all(ended >= runs for ended, runs in counts):
        return {}
    return {"unfinished": [("ended", *(f"{ended} of {runs} runs" for ended, runs in counts))]}


def _means(folder: StudyFolder) -> dict[str, float]:
    """Return the mean of each primary metric, by problem, method and budget."""
    metrics = [TaskMetric(**metric) for metric in read_json(folder.study)["primary_metrics"]]
    values: dict[str, list[float]] = {}
    records = folder.records().values()
    for record in (r for r in records if r.stage is Stage.FINAL and r.error is None):
        for metric in metrics:
            mine = metric.problem == record.problem and record.task in (None, metric.task)
            if mine and metric.metric in record.test:
                name = f"{record.problem}/{record.method}/{record.budget.value}: {metric.metric}"
                values.setdefault(name, []).append(record.test[metric.metric])
    return {name: statistics.fmean(scores) for name, scores in values.items()}


def flat_yaml(path: Path) -> dict[str, str]:
    """Return every plain value in the file at `path` as text by its path.

    Raises `RunError` if the file is missing, unreadable or not YAML.
    """
    try:
        tree = read_yaml(read_text(path, "recipe"), str(path))
    except RefusedError as cause:
        raise RunError("; ".join(cause.lines())) from cause
    return dict(_flat(tree, ()))


def _flat(node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ScalarNode):
        yield ".".join(path), "null" if node.value is None else str(node.value)
    elif not node.value:
        yield ".".join(path), "none"
    elif isinstance(node, MappingNode):
        for key, value in entries(node).items():
            yield from _flat(value, (*path, key))
    else:
        for index, item in enumerate(node.value):
            yield from _flat(item, (*path, str(index)))


def _texts(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Row]:
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            yield name, one.get(name, "-"), other.get(name, "-")


def _numbers(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Row]:
    for name in dict.fromkeys([*one, *other]):
        a, b = one.get(name), other.get(name)
        change = number(b - a) if a is not None and b is not None else "-"
        cells = ("-" if value is None else number(value) for value in (a, b))
        yield (name, *cells, change)
