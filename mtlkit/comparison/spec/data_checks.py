"""What must be known of the data before the first run: that it will do, and what is judged."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from mtlkit.comparison.results.record import Judged
from mtlkit.comparison.spec.comparison import Compared, Comparison
from mtlkit.data.dataset import Data, Split
from mtlkit.data.source import Loading
from mtlkit.errors import DataError, RecipeError, did_you_mean
from mtlkit.heads.base import HeadModule
from mtlkit.model import Assembly, assembly_of, encode_targets
from mtlkit.task_types import TaskKind


def judges_of(comparison: Comparison, loading: Loading) -> list[Judged]:
    """The metrics that judge all tasks of all problems, once their data is found to do.

    The data is loaded, and thereafter is in the cache if its source keeps one: so it is rendered
    once, not by every worker. Raises `DataError` where it does not do.
    """
    found = []
    for name, problem in comparison.problems.items():
        data = problem.recipe.data.load(attrs.evolve(loading, base=problem.base))
        require_splits(name, data, comparison)
        found += judged_of(name, problem, data)
    return found


def judged_of(name: str, problem: Compared, data: Data) -> list[Judged]:
    """The metric that judges each task of the problem, and what a constant guess earns by it.

    The guess is that of somebody who knows the training labels alone: their commonest class, or
    their mean. Raises `DataError` where a task cannot be judged on the test split.
    """
    assembly = assembly_of(data, problem.recipe.tasks)
    targets = encode_targets(data.train, problem.recipe.tasks, assembly)
    return [
        _judged(name, problem, data, task, assembly, targets[task]) for task in problem.recipe.tasks
    ]


def _judged(
    name: str, problem: Compared, data: Data, task: str, assembly: Assembly, target: Tensor
) -> Judged:
    value = problem.recipe.tasks[task]
    head = value.head.build(1, assembly.classes.get(task, ()))
    head.fit_targets(target)
    known = head.metrics(_guesses(head, target, len(assembly.classes.get(task, ()))), target)
    asked = problem.judge.get(task)
    if asked is None:
        _require_test_label(name, task, value.target or task, data)
        metric = next(iter(known))
        return Judged(
            problem=name,
            task=task,
            metric=f"{task}/{metric}",
            higher_is_better=value.head.kind is TaskKind.CLASSIFICATION,
            guess=known[metric],
        )
    own = asked.metric.removeprefix(f"{task}/")
    if own != asked.metric and own not in (*known, "loss"):
        hint = did_you_mean(own, known) or f"; it gives {', '.join(known)}"
        raise RecipeError(
            [f"problems.{name}.judge.{task}: the head gives no metric {asked.metric!r}{hint}"]
        )
    return Judged(
        problem=name,
        task=task,
        metric=asked.metric,
        higher_is_better=asked.higher_is_better,
        guess=known.get(own) if own != asked.metric else None,
    )


def _guesses(head: HeadModule, target: Tensor, classes: int) -> Tensor:
    """The constant outputs of a guess: logits (N, C) of the commonest class, or the mean (N,)."""
    present = target[head.present(target)]
    if not classes:
        return present.double().mean().float().expand(len(target))
    commonest = torch.bincount(present, minlength=classes).argmax()
    return torch.nn.functional.one_hot(commonest, classes).float().expand(len(target), classes)


def _require_test_label(name: str, task: str, label: str, data: Data) -> None:
    judge = (
        f"say by what it is judged instead: `problems: {{{name}: {{judge: {{{task}: METRIC}}}}}}`"
    )
    if label in data.open_labels:
        raise DataError(
            f"problems.{name}: the label {label!r} of the task {task!r} has strangers in the test; "
            f"{judge}"
        )
    if data.test is None or not data.test.column(label).present().any():
        raise DataError(
            f"problems.{name}: no test sample has the label {label!r} of the task {task!r}; {judge}"
        )


def require_splits(name: str, data: Data, comparison: Comparison) -> None:
    """`DataError` where a split is missing that the comparison needs."""
    if data.test is None:
        raise DataError(
            f"problems.{name}: the data has no test split, and methods are compared on one; set a "
            f"part aside for it in the data's options"
        )
    if comparison.tuning.searches and data.validation is None:
        raise DataError(
            f"problems.{name}: the trials of a search are judged on the validation split, and this "
            f"data has none; set a part aside for it in the data's options, or use `trials: 1`"
        )
    unjudged = list(_unlabelled(data.validation, comparison.problems[name]))
    if comparison.tuning.searches and unjudged:
        raise DataError(
            f"problems.{name}: no validation sample has a label of the task {unjudged[0]!r}, so "
            f"nothing can be chosen for it; divide the samples otherwise, or use `trials: 1`"
        )


def _unlabelled(split: Split | None, problem: Compared) -> Iterator[str]:
    for task, value in problem.recipe.tasks.items():
        if split is not None and not split.column(value.target or task).present().any():
            yield task
