"""Losses and metrics on the validation split during training."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor

from mtlkit.data.dataset import Split
from mtlkit.evaluators.context import Predictions
from mtlkit.evaluators.task_scores import predict_batch, scores_of
from mtlkit.features.inputs import map_batch
from mtlkit.model import MultiTaskModel
from mtlkit.targets.rows import Rows
from mtlkit.task import Task
from mtlkit.training.signals import StopRequest


class _StoppedError(Exception):
    """A stop was requested."""


@torch.no_grad()
def validation_metrics(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    split: Split,
    targets: Mapping[str, Rows],
    *,
    batch: int,
    device: torch.device,
    autocast: AbstractContextManager[object],
    stop_request: StopRequest | None = None,
) -> dict[str, float] | None:
    """Return each task's mean loss and metrics on `split`, as ``pose/accuracy``.

    `targets` (N,) of each task may be missing; a task without any has no metrics. Returns None if a
    stop is requested before the end.
    """

    def batches() -> Iterator[tuple[Predictions, Mapping[str, Tensor]]]:
        for index in torch.split(torch.arange(len(split)), batch):
            if stop_request is not None and stop_request.requested:
                raise _StoppedError
            on_device = {task: targets[task][index].to(device) for task in model.tasks}
            with autocast:
                inputs = map_batch(partial(Tensor.to, device=device), split.inputs[index])
                predictions = predict_batch(model, inputs, on_device, branches=False)
            yield predictions, on_device

    training = model.training
    model.eval()
    try:
        scores = scores_of(model, tasks, batches()).compute()
    except _StoppedError:
        return None
    finally:
        model.train(training)
    return {name: value for name, value in scores.items() if not name.endswith("/labels")}
