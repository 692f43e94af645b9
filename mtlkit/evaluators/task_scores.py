"""Loss and metrics of every task on one split, accumulated over batches."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from mtlkit.evaluators.context import Predictions
from mtlkit.features.inputs import Batch
from mtlkit.metrics.base import MetricState
from mtlkit.model import MultiTaskModel, weights_of
from mtlkit.report.evaluation import MetricScale
from mtlkit.report.folding import MEAN
from mtlkit.task import Task, shared_metrics

LOSS_SCALE = MetricScale(unit="", higher_is_better=False)


class TaskScores:
    """Mean losses and metric states of every task, for validation and evaluation.

    Outputs are not kept, so a split need not fit in memory.
    """

    def __init__(self, model: MultiTaskModel, tasks: Mapping[str, Task]) -> None:
        self._model = model
        self._tasks = tasks
        # sums of the weighted losses and of the weights
        self._sums = {task: torch.zeros(2, dtype=torch.float64) for task in model.tasks}
        self._metrics = {task: self._new_states(task) for task in model.tasks}
        self._branches = {task: self._new_states(task) for task in model.tasks}

    def update(self, predictions: Predictions, targets: Mapping[str, Tensor]) -> None:
        """Add a batch whose tensors are on one device."""
        for task, states in self._metrics.items():
            target, losses = targets[task], predictions.losses[task]
            weights = self._weights(task, target).double()
            sums = torch.stack([(losses.double() * weights).sum(), weights.sum()])
            self._sums[task] = self._sums[task].to(sums.device) + sums
            for state in states.values():
                state.update(predictions.outputs[task], target)
        for task, branches in predictions.branches.items():
            tiny = torch.finfo(torch.float32).tiny
            for state in self._branches[task].values():
                state.update(branches.posterior.clamp(min=tiny).log(), targets[task])

    def compute(self) -> dict[str, float]:
        """Return ``pose/loss``, ``pose/accuracy``, ``pose/branches/accuracy``, ``pose/labels``.

        ``labels`` is the sum of the samples' weights in the loss: the number of present elements,
        or of samples if the task's reduction is by samples. A task without labels has no entries.
        ``mean/accuracy`` is the mean over tasks.
        """
        values: dict[str, float] = {}
        for task, states in self._metrics.items():
            loss, labels = self._sums[task].tolist()
            labels = int(labels)
            if labels == 0:
                continue
            values[f"{task}/loss"] = loss / labels
            values |= _computed(task, states)
            values |= _computed(f"{task}/branches", self._branches[task])
            values[f"{task}/labels"] = float(labels)
        return values | self._means(values)

    def _means(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of each shared metric over the tasks with a value: ``mean/accuracy``."""
        means = {}
        for name in shared_metrics(self._tasks):
            of_tasks = [
                values[f"{task}/{name}"] for task in self._tasks if f"{task}/{name}" in values
            ]
            if of_tasks:
                means[f"{MEAN}/{name}"] = sum(of_tasks) / len(of_tasks)
        return means

    def parts(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the parts of each metric that has some, by task and metric: see `MetricState`."""
        parts = {
            task: {name: state.parts() for name, state in states.items()}
            for task, states in self._metrics.items()
        }
        return {
            task: named
            for task, values in parts.items()
            if (named := {name: value for name, value in values.items() if value})
        }

    def _weights(self, task: str, target: Tensor) -> Tensor:
        """Return the weight of each sample (N,) in the mean loss of `task`."""
        term = next(term for term in self._model.terms if term.name == task)
        return weights_of(self._model.assembly.targets[task], target, term.reduction)

    def _new_states(self, task: str) -> dict[str, MetricState]:
        target = self._model.assembly.targets[task]
        return {metric.name: metric.build(target) for metric in self._tasks[task].measured_by}


def _computed(prefix: str, states: Mapping[str, MetricState]) -> dict[str, float]:
    values = {f"{prefix}/{name}": state.compute() for name, state in states.items()}
    return {name: value for name, value in values.items() if value is not None}


def scores_of(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    batches: Iterable[tuple[Predictions, Mapping[str, Tensor]]],
) -> TaskScores:
    """Return the scores over all `batches`."""
    scores = TaskScores(model, tasks)
    for predictions, targets in batches:
        scores.update(predictions, targets)
        del predictions, targets  # before the next batch is predicted
    return scores


def task_scales(tasks: Mapping[str, Task]) -> Iterator[tuple[str, MetricScale]]:
    """Yield the scale of each number of `TaskScores.compute` that has a unit and a direction."""
    for task, value in tasks.items():
        yield f"{task}/loss", LOSS_SCALE
        for metric in value.measured_by:
            scale = MetricScale(unit=metric.unit, higher_is_better=metric.higher_is_better)
            yield f"{task}/{metric.name}", scale
            yield f"{task}/branches/{metric.name}", scale
    for name, metric in shared_metrics(tasks).items():
        scale = MetricScale(unit=metric.unit, higher_is_better=metric.higher_is_better)
        yield f"{MEAN}/{name}", scale


def at_least_float32(values: Tensor) -> Tensor:
    """Return `values` in float32, or unchanged if they are in float64, such as large numbers."""
    return values if values.dtype == torch.float64 else values.float()


def predict_batch(
    model: MultiTaskModel, inputs: Batch, targets: Mapping[str, Tensor], *, branches: bool = True
) -> Predictions:
    """Return the predictions for raw inputs on the model's device.

    Without `branches` the outputs of branches are not computed.
    """
    features = model.all_features(inputs)
    outputs = model.head_outputs(features)
    losses = model.head_losses(features, targets)
    routed = model.router.branch_outputs(features, outputs, targets) if branches else {}
    return Predictions(
        features=model.pooled(features).float(),
        outputs={task: at_least_float32(value) for task, value in outputs.items()},
        losses=losses,
        branches=routed,
    )
