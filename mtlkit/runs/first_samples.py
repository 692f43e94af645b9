"""The first samples of every split, predicted before training."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.data.dataset import Data, Split
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch
from mtlkit.model import MultiTaskModel
from mtlkit.routers.base import Features
from mtlkit.targets.rows import Rows
from mtlkit.task import Task


def check_first_samples(
    model: MultiTaskModel,
    data: Data,
    targets: Mapping[str, Mapping[str, Rows]],
    tasks: Mapping[str, Task],
) -> None:
    """Predict the first two samples of every split, without gradients and in evaluation mode.

    Raises `DataError` if the inputs of a split have another shape than those of training, or if
    the outputs of a task do not fit its labels. The model is left in training mode.
    """
    index = torch.arange(2)
    model.eval()
    for name, split in data.splits().items():
        first = index[: len(split)]
        inputs = split.inputs[first]
        if data.inputs is None:
            _require_shape(name, inputs, data.train)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            read = model.head_features(_features(name, model, inputs))
            for task, rows in targets[name].items():
                place = f"tasks.{task}: the label {tasks[task].target or task!r} of {name}"
                _require_fit(place, model, task, read[task], rows[first])
    model.train()


def _require_shape(name: str, inputs: Batch, train: Split) -> None:
    """Raise `DataError` unless one tensor of `inputs` has the shape of those of training."""
    expected = train.inputs[torch.tensor([0])]
    if isinstance(inputs, Tensor) and isinstance(expected, Tensor):
        shape, other = tuple(inputs.shape[1:]), tuple(expected.shape[1:])
        if shape != other:
            raise DataError(
                f"the inputs of {name} have the shape {shape}, expected {other}, that of training; "
                f"resize them in the data source, or by `transforms: {{test: [{{type: resize, "
                f"size: {other[-1]}}}]}}`"
            )


def _features(name: str, model: MultiTaskModel, inputs: Batch) -> Features:
    try:
        return model.all_features(inputs)
    except DataError as cause:
        raise DataError(f"the inputs of {name}: {cause}") from cause


def _require_fit(
    place: str, model: MultiTaskModel, task: str, features: Tensor, labels: Tensor
) -> None:
    head = model.head(task)
    try:
        head.loss(features, labels)
    except DataError as cause:
        raise DataError(f"{place}: {cause}") from cause
    except (RuntimeError, ValueError, IndexError) as cause:  # torch, for shapes that do not fit
        outputs = tuple(head(features).shape)
        raise DataError(
            f"{place}: got labels of shape {tuple(labels.shape)}, expected some that fit the "
            f"outputs {outputs} of {type(head).__name__}; change the size of the labels or of the "
            f"inputs"
        ) from cause
