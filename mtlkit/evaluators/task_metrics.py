"""Loss and metrics of every task on every split that carries its label."""

import math
from collections.abc import Iterator, Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.data.dataset import Split
from mtlkit.evaluators.base import EvaluationResult, Evaluator
from mtlkit.evaluators.context import EvaluationContext, Predictions
from mtlkit.report.blocks import Block, Section, Table
from mtlkit.task_types import Role, TaskKind


@attrs.frozen(kw_only=True)
class TaskMetrics(Evaluator):
    """Loss and metrics of every task on every split that carries its label."""

    def evaluate(self, trained: "EvaluationContext") -> EvaluationResult:
        return task_metrics(trained)


CONFUSION_CLASSES = 20
"""The confusion table of a task with more classes cannot be read."""


def task_metrics(trained: EvaluationContext) -> EvaluationResult:
    """``split/task/metric`` for every task and split, and the same as tables.

    ``split/task/loss`` is the mean over the present labels, ``split/task/labels`` their count, and
    ``split/task/branches/...`` what the task's branches say after routing.
    """
    metrics: dict[str, float] = {}
    for split_name, split in trained.data.splits().items():
        for name, value in _of_split(trained, split):
            metrics[f"{split_name}/{name}"] = value
    blocks: list[Block] = [_table(trained, metrics)]
    judged = _judged(trained)
    if judged is not None:
        blocks += _confusions(trained, *judged)
    return EvaluationResult(
        metrics=metrics,
        headlines=_headlines(trained, metrics),
        sections=(Section(title="Tasks", blocks=tuple(blocks)),),
    )


def _of_split(trained: EvaluationContext, split: Split) -> Iterator[tuple[str, float]]:
    said = trained.predict(split)
    for task, target in trained.targets(split).items():
        head = trained.model.head(task)
        labels = int(head.present(target).sum())
        if labels == 0:  # nothing is known, which is not the same as a loss of 0
            continue
        found = head.metrics(said.outputs[task], target)
        routed = _routed(said, task)
        yield f"{task}/loss", said.losses[task].double().sum().item() / labels
        yield from ((f"{task}/{name}", value) for name, value in found.items())
        if routed is not None:
            found = head.metrics(routed, target)
            yield from ((f"{task}/branches/{name}", value) for name, value in found.items())
        yield f"{task}/labels", float(labels)


def _routed(said: Predictions, task: str) -> Tensor | None:
    """The logits (M, C) after routing, of a task that has branches."""
    if task not in said.branches:
        return None
    return said.branches[task].posterior.clamp(min=torch.finfo(torch.float32).tiny).log()


def _table(trained: EvaluationContext, metrics: Mapping[str, float]) -> Table:
    """A row for each task and metric, a column for each split."""
    splits = list(trained.data.splits())
    names = dict.fromkeys(name.partition("/")[2] for name in metrics)
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, *(metrics.get(f"{split}/{name}", math.nan) for split in splits)) for name in names
    )
    return Table(
        header=("", *splits),
        rows=rows,
        caption="Every number is over the labels that are present; a dash means there is none.",
    )


def _judged(trained: EvaluationContext) -> tuple[str, Split] | None:
    """The split that the model did not learn from: test if there is one, else validation."""
    splits = trained.data.splits()
    return next(((name, splits[name]) for name in ("test", "validation") if name in splits), None)


def _confusions(trained: EvaluationContext, split_name: str, split: Split) -> Iterator[Table]:
    """How often each class is taken for which, in percent of its samples."""
    said, targets = trained.predict(split), trained.targets(split)
    for task, value in trained.tasks.items():
        classes = trained.model.assembly.classes.get(task, ())
        known = targets[task] >= 0
        wanted = (
            value.head.kind is TaskKind.CLASSIFICATION and 1 < len(classes) <= CONFUSION_CLASSES
        )
        if wanted and known.any():
            counts = confusion(said.outputs[task][known], targets[task][known], len(classes))
            yield _confusion_table(f"{task} ({split_name})", counts, classes)


def confusion(outputs: Tensor, target: Tensor, classes: int) -> Tensor:
    """How many samples of each class (rows) are taken for which (columns), (C, C).

    `outputs` are logits (N, C), `target` the true classes (N,), all present.

    >>> confusion(torch.eye(3), torch.tensor([0, 1, 1]), 3).tolist()
    [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """
    pairs = target * classes + outputs.argmax(dim=1)
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def _confusion_table(title: str, counts: Tensor, classes: tuple[str, ...]) -> Table:
    shares = (100 * counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).round().long().tolist()
    totals = counts.sum(dim=1).tolist()
    rows = tuple(
        (name, *(share or "" for share in row), total)
        for name, row, total in zip(classes, shares, totals, strict=True)
    )
    return Table(
        header=("true class", *classes, "samples"),
        rows=rows,
        caption=f"{title}: what each class is taken for, in percent of its samples.",
        folded=True,
    )


def _headlines(trained: EvaluationContext, metrics: Mapping[str, float]) -> tuple[str, ...]:
    """The first metric of each main task, where it can be known on unseen samples, then the side
    tasks'."""
    order = sorted(trained.tasks, key=lambda task: trained.tasks[task].role is not Role.MAIN)
    found = []
    for task in order:
        for split in ("test", "validation"):
            named = [
                name
                for name in metrics
                if name.startswith(f"{split}/{task}/")
                and name.rpartition("/")[2] not in ("loss", "labels")
            ]
            if named:
                found.append(named[0])
                break
    return tuple(found)
