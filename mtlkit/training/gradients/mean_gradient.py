"""The gradient of the plain sum of losses in an update, which callbacks may read before it."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.batch import Rehearsal
from mtlkit.training.gradients.loss_scale import scaled, unscaled
from mtlkit.training.gradients.step import TrainingStep
from mtlkit.training.gradients.task_gradients import sum_of


def mean_gradient(
    step: TrainingStep, rehearsals: Iterable[Rehearsal], ranks: Ranks
) -> Mapping[nn.Parameter, Tensor]:
    """Return the gradient of the sum of all terms' mean losses in each trained parameter.

    It is summed over the parts of the `rehearsals` of an update and over all ranks, which call this
    together; a parameter that no loss reaches has the gradient 0. The tensors may share memory.
    `.grad`, the weighting and hooks on gradients, such as DDP's, are left alone.
    """
    parameters = [p for p in step.model.parameters() if p.requires_grad]
    total: Sequence[Tensor | None] = [None] * len(parameters)
    passes = step.step.passes
    for rehearsal in rehearsals:
        for part in rehearsal.parts:
            with passes.autocast():
                losses, _ = passes.losses(part, rehearsal.update)
            loss = scaled(losses.mean.sum(), passes.scale)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            added = unscaled(gradients, passes.scale)
            total = [sum_of(*pair) for pair in zip(total, added, strict=True)]
    pairs = zip(total, parameters, strict=True)
    whole = [torch.zeros_like(p) if value is None else value.to_dense() for value, p in pairs]
    if ranks.world > 1:
        flat = ranks.sum(torch.cat([value.flatten() for value in whole]))
        parts = torch.split(flat, [p.numel() for p in parameters])
        whole = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
    return dict(zip(parameters, whole, strict=True))
