"""Errors of depth and normals averaged over batches, as some published tables have them.

Paper: Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning with
Attention", CVPR 2019; the averages are those of the authors' code, and of Nash-MTL's and FAMO's.
"""

from collections.abc import Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit import Task
from mtlkit.data import RealMapTarget, UnitVectorMapTarget
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator
from mtlkit.heads import DenseRegression, Normals
from mtlkit.plugins import at_least


@attrs.frozen(kw_only=True)
class BatchAverages(Evaluator):
    """Means over consecutive batches of the test split, each batch with the same weight.

    For comparison with print only: the numbers change with the size of the `batch`, which is in
    their names. Numbers of pixels get ``mae-batchN`` and ``relative-error-batchN``, and unit
    vectors ``angle-mean-batchN`` and ``angle-median-batchN``, the mean of the medians. A batch
    without a label is left out.
    """

    batch: int = attrs.field(default=2, validator=at_least(1))

    @property
    def prefix(self) -> str:
        return f"batches-of-{self.batch}"

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        if trained.data.test is None:
            return EvaluationResult()
        errors: dict[str, list[dict[str, float]]] = {}
        for outputs, targets in grouped(trained, self.batch):
            for task in trained.tasks:
                measured = batch_errors(trained.tasks[task], outputs[task], targets[task])
                if measured:
                    errors.setdefault(task, []).append(measured)
        metrics = {
            f"{self.prefix}/{task}/{name}-batch{self.batch}": sum(b[name] for b in values)
            / len(values)
            for task, values in errors.items()
            for name in values[0]
        }
        return EvaluationResult(metrics=metrics)


def grouped(
    trained: EvaluationContext, size: int
) -> Iterator[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]:
    """Yield outputs and targets of `size` consecutive test samples; the last may be fewer."""
    assert trained.data.test is not None
    left: list[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]] = []
    for predictions, targets in trained.batches(trained.data.test):
        left.append((predictions.outputs, targets))
        outputs, targets = _joined(left)
        whole = len(next(iter(targets.values()))) // size * size
        for start in range(0, whole, size):
            yield _cut(outputs, start, start + size), _cut(targets, start, start + size)
        left = [(_cut(outputs, whole, None), _cut(targets, whole, None))]
    if left and len(next(iter(left[0][1].values()))):
        yield left[0]


def batch_errors(task: Task, outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the errors of one batch; empty for another task, or without a label."""
    if isinstance(task.head, DenseRegression):
        present = RealMapTarget(channels=targets.shape[1]).present(targets)
        if not present.any():
            return {}
        error = (outputs - targets).abs()[present].double()
        relative = error / targets[present].abs()
        return {"mae": float(error.mean()), "relative-error": float(relative.mean())}
    if isinstance(task.head, Normals):
        present = UnitVectorMapTarget().present(targets)
        if not present.any():
            return {}
        unit = outputs / outputs.norm(dim=1, keepdim=True)
        cosine = (unit * targets).sum(dim=1)[present].double().clamp(-1, 1)
        angles = cosine.acos().rad2deg()
        return {"angle-mean": float(angles.mean()), "angle-median": float(angles.median())}
    return {}


def _joined(
    parts: Sequence[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    outputs, targets = (
        {name: torch.cat([part[place][name] for part in parts]) for name in parts[0][place]}
        for place in (0, 1)
    )
    return outputs, targets


def _cut(values: Mapping[str, Tensor], start: int, end: int | None) -> dict[str, Tensor]:
    return {name: value[start:end] for name, value in values.items()}
