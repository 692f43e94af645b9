"""Checks of a new network on the first samples of the data, before training."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mtlkit.data.dataset import Data, Split
from mtlkit.errors import AssemblyError, DataError
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.model import MultiTaskModel
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
            try:
                features = model.all_features(inputs)
            except DataError as cause:
                raise DataError(f"the inputs of {name}: {cause}") from cause
            read = model.head_features(features)
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


def check_batch_norm(model: MultiTaskModel, data: Data, targets: Mapping[str, Rows]) -> None:
    """Train a copy of `model` on the first sample; call it if an update may have one sample.

    Raises `AssemblyError` with the name of a batch norm that gets one value for each channel: its
    variance is not defined. The model and the random numbers do not change.
    """
    layers = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    tried = copy.deepcopy(model).train()
    for name in layers:
        tried.get_submodule(name).register_forward_pre_hook(_refusal(name))
    first = torch.arange(1)
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
        inputs = map_batch(lambda values: values.to(device), data.train.inputs[first])
        features = tried.head_features(tried.all_features(inputs))
        for task, rows in targets.items():
            tried.head(task).loss(features[task], rows[first].to(device))


def _refusal(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def refuse(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        one = values.numel() == values.shape[1]
        if one and module.training and not isinstance(module, nn.SyncBatchNorm):
            raise AssemblyError(
                f"train.batch: got an update of one sample, expected two or more for the batch "
                f"norm {name}, which has one value for each channel there; choose a larger or "
                f"smaller `train.batch`, so that no update has one sample"
            )

    return refuse
