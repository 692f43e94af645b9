"""Averages of a model's weights, and the batch statistics that suit them."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from mtlkit.callbacks.base import TrainingRun
from mtlkit.model import MultiTaskModel


def averaged(run: TrainingRun, average: AveragedModel) -> MultiTaskModel:
    """Return the averaged model; before the first average, the model of `run`."""
    model = average.module if int(average.n_averaged) else run.model
    assert isinstance(model, MultiTaskModel)
    return model


def recalculate_batch_norm(model: MultiTaskModel, run: TrainingRun) -> None:
    """Compute the statistics of batch norm in `model` anew, as means over the training split.

    Averaged weights have other statistics than those that were recorded for the weights in
    training (Izmailov et al., UAI 2018, section 3.2). Random numbers, such as those of dropout, are
    drawn from a fixed seed, and the generators are restored.
    """

    class Losses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: dict[str, object]) -> None:
            inputs, targets = batch["inputs"], batch["targets"]
            model.losses(inputs, targets, model.counts(targets))  # type: ignore[arg-type]

    device = next(model.parameters()).device
    batches = ({"inputs": inputs, "targets": targets} for inputs, targets in run.batches())
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
        torch.manual_seed(0)
        update_bn(batches, Losses())
