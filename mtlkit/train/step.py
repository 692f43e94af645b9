"""One training step: from a batch to one scalar, whose gradient is the update.

Which statistic of the losses a weighting sees is decided here, once, by its type. All that happens
inside `forward`, and one scalar comes out of it, so that DDP, autocast, accumulation and gradient
clipping work as for a single loss.
"""

from collections.abc import Mapping
from typing import assert_never

import attrs
import torch
from torch import Tensor, nn

from mtlkit.model import MultiTaskModel
from mtlkit.train.gradients import cut, gather_columns, own_columns
from mtlkit.train.ranks import Ranks
from mtlkit.weighting.module import (
    GramianWeighting,
    JacobianWeighting,
    LossWeighting,
    StepLosses,
    WeightingModule,
)

AnyWeighting = LossWeighting | GramianWeighting | JacobianWeighting


@attrs.frozen(eq=False)
class StepResult:
    """What a step gives: the scalar to differentiate, and what to log, detached.

    `per_sample` (T, N) are the losses of each sample and `weights` (T,) those of the terms.
    """

    total: Tensor
    per_sample: Tensor
    weights: Tensor


class TrainingStep(nn.Module):
    """A model and a weighting, as the one module that is differentiated.

    The scalar is scaled by the number of ranks, because DDP takes the mean of their gradients and
    the losses are parts of a sum. For weightings of gradients see `mtlkit.train.gradients`; a
    direction (Jacobian) leaves the heads with the plain sum of their losses, and weights of 1.
    """

    def __init__(self, model: MultiTaskModel, weighting: WeightingModule, ranks: Ranks) -> None:
        super().__init__()
        self.model = model
        self.weighting = checked_kind(weighting)
        self.ranks = ranks

    def forward(
        self, inputs: Tensor, targets: Mapping[str, Tensor], counts: Tensor, share: float = 1.0
    ) -> StepResult:
        """The result for raw inputs (N, ...) against targets (N,) of each task.

        `counts` (T,) and `share` relate the batch to the update it is a part of: see `StepLosses`.
        """
        weighting: AnyWeighting = self.weighting
        match weighting:
            case LossWeighting():
                losses = self.model.losses(inputs, targets, counts, share)
                weighted = weighting(losses)
                total, weights = weighted.total, weighted.weights
            case GramianWeighting() | JacobianWeighting():
                losses, total, weights = self._by_gradients(weighting, inputs, targets, counts)
            case _:
                assert_never(weighting)
        return StepResult(total * self.ranks.world, losses.per_sample.detach(), weights.detach())

    def _by_gradients(
        self,
        weighting: GramianWeighting | JacobianWeighting,
        inputs: Tensor,
        targets: Mapping[str, Tensor],
        counts: Tensor,
    ) -> tuple[StepLosses, Tensor, Tensor]:
        """The losses, the scalar and the weights, with the trunk differentiated by surrogate."""
        at = cut(self.model.features(inputs))
        losses = self.model.losses_at(at.features, targets, counts)
        own = at.jacobian(losses.mean)
        means = self.ranks.sum(losses.mean.detach())
        if isinstance(weighting, GramianWeighting):
            weights = weighting(self.ranks.sum(own @ own.T), means).detach()
            direction = weights @ own
        else:
            weights = torch.ones_like(means)
            joined = weighting(gather_columns(own, self.ranks), means)
            direction = own_columns(joined, own, self.ranks)
        return losses, at.surrogate(direction) + (weights * losses.mean).sum(), weights


def checked_kind(weighting: WeightingModule) -> AnyWeighting:
    """The weighting itself, when it is one of the three kinds; `TypeError` when it is not."""
    if not isinstance(weighting, LossWeighting | GramianWeighting | JacobianWeighting):
        raise TypeError(
            f"{type(weighting).__name__} is of no kind of weighting; expected a subclass of "
            f"LossWeighting, GramianWeighting or JacobianWeighting"
        )
    return weighting
