"""Loss and metrics of every task on every split with labels."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.evaluators.base import EvaluationResult, Evaluator
from mtlkit.evaluators.context import EvaluationContext, Predictions
from mtlkit.evaluators.task_scores import scores_of, task_scales
from mtlkit.evaluators.task_tables import folded_table, part_tables
from mtlkit.metrics.elements import CLASSES, classes_last
from mtlkit.report.blocks import Block, Section, TableBlock
from mtlkit.report.folding import MEAN
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.tokens import TokenTarget
from mtlkit.task import Task
from mtlkit.task_types import FOLD_ABOVE, Role

Batch = tuple[Predictions, Mapping[str, Tensor]]


CONFUSION_CLASSES = 20
"""Largest number of classes for which a confusion table is shown."""


@attrs.frozen(kw_only=True)
class TaskMetrics(Evaluator):
    """Loss and metrics of every task on every split with labels, with tables of these numbers.

    ``split/task/loss`` is the mean over the present labels, ``split/task/labels`` their count, and
    ``split/task/branches/...`` are metrics of the outputs after routing.
    """

    def evaluate(self, trained: "EvaluationContext") -> EvaluationResult:
        splits = trained.data.splits()
        # the split of the confusion tables
        scored = next((name for name in ("test", "validation") if name in splits), None)
        confusions = _Confusions(trained)
        metrics: dict[str, float] = {}
        tables: list[TableBlock] = []
        for split_name, split in splits.items():
            batches = trained.batches(split)
            if split_name == scored:
                batches = confusions.watch(batches)
            scores = scores_of(trained.model, trained.tasks, batches)
            for name, value in scores.compute().items():
                metrics[f"{split_name}/{name}"] = value
            if split_name == scored:
                tables += part_tables(split_name, scores.parts())
        table = (folded_table if len(trained.tasks) > FOLD_ABOVE else _table)([*splits], metrics)
        blocks: list[Block] = [table, *tables]
        if scored is not None:
            blocks += confusions.tables(scored)
        scales = dict(task_scales(trained.tasks))
        named = ((name, scales.get(name.partition("/")[2])) for name in metrics)
        return EvaluationResult(
            metrics=metrics,
            scales={name: scale for name, scale in named if scale is not None},
            headlines=_headlines(trained.tasks, metrics),
            sections=(Section(title="Tasks", blocks=tuple(blocks)),),
        )


def _table(splits: Sequence[str], metrics: Mapping[str, float]) -> TableBlock:
    """Return a table with a row for each task and metric and a column for each split."""
    names = dict.fromkeys(name.partition("/")[2] for name in metrics)
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, *(metrics.get(f"{split}/{name}", math.nan) for split in splits)) for name in names
    )
    return TableBlock(
        header=("", *splits),
        rows=rows,
        caption="Every number is over the labels that are present; a dash means there are none.",
    )


class _Confusions:
    """Confusion counts (C, C) of every task with few classes, accumulated over batches.

    Of more than ten tasks, only main ones are counted.

    The elements of a map or a sequence are counted one by one.
    """

    def __init__(self, trained: EvaluationContext) -> None:
        self._targets = {
            task: target
            for task, target in trained.model.assembly.targets.items()
            if isinstance(target, CLASSES) and 1 < len(target.classes) <= CONFUSION_CLASSES
            if len(trained.tasks) <= FOLD_ABOVE or trained.tasks[task].role is Role.MAIN
        }
        self._counts = {
            task: torch.zeros(len(target.classes), len(target.classes), dtype=torch.int64)
            for task, target in self._targets.items()
        }

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield `batches` unchanged and count the predictions of each class."""
        for batch in batches:
            self._count(*batch)
            yield batch
            del batch  # before the next one is predicted

    def _count(self, predictions: Predictions, targets: Mapping[str, Tensor]) -> None:
        for task, target in self._targets.items():
            known = target.present(targets[task])
            outputs = classes_last(target, predictions.outputs[task])[known]
            counts = confusion(outputs, targets[task][known], len(target.classes))
            self._counts[task] += counts.cpu()

    def tables(self, split_name: str) -> Iterator[TableBlock]:
        """Yield a confusion table for each task, in percent of the samples of each class."""
        for task, counts in self._counts.items():
            if counts.any():
                target = self._targets[task]
                title, noun = f"{task} ({split_name})", _NOUNS.get(type(target), "samples")
                yield _confusion_table(title, counts, target.classes, noun)


def confusion(outputs: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return the number of elements (C, C) by true class (rows) and predicted class (columns).

    `outputs` are logits (M, C); `target` (M,) are the true classes, none missing.

    >>> confusion(torch.eye(3), torch.tensor([0, 1, 1]), 3).tolist()
    [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    """
    pairs = target * classes + outputs.argmax(dim=1)
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


_NOUNS: Mapping[type[Target], str] = {ClassMapTarget: "pixels", TokenTarget: "tokens"}
"""Units that the table of a type of targets counts; samples by default."""


def _confusion_table(title: str, counts: Tensor, classes: tuple[str, ...], noun: str) -> TableBlock:
    percent = (100 * counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).round().long().tolist()
    totals = counts.sum(dim=1).tolist()
    rows = tuple(
        (name, *(value or "" for value in row), total)
        for name, row, total in zip(classes, percent, totals, strict=True)
    )
    return TableBlock(
        header=("true class", *classes, noun),
        rows=rows,
        caption=f"{title}: predicted classes, in percent of the {noun} of each true class.",
        folded=True,
    )


def _headlines(tasks: Mapping[str, Task], metrics: Mapping[str, float]) -> tuple[str, ...]:
    """Return the names of the tasks' primary metrics on held-out samples, main tasks first."""
    order = sorted(tasks, key=lambda task: tasks[task].role is not Role.MAIN)
    names = []
    if len(tasks) > FOLD_ABOVE:
        order = [task for task in order if tasks[task].role is Role.MAIN]
        means = dict.fromkeys(task.primary_metric.name for task in tasks.values())
        names = [f"{MEAN}/{name}" for name in means]
    names += [f"{task}/{tasks[task].primary_metric.name}" for task in order]
    both = ((f"test/{name}", f"validation/{name}") for name in names)
    first = (next((name for name in pair if name in metrics), None) for pair in both)
    return tuple(name for name in first if name is not None)
