"""A check of batch norm in a network that is trained on updates of one sample."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mtlkit.data.dataset import Data
from mtlkit.errors import AssemblyError
from mtlkit.features.inputs import map_batch
from mtlkit.model import MultiTaskModel
from mtlkit.targets.rows import Rows


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
