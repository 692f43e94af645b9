"""The seam between losses and updates: what a weighting sees, and the three kinds there are.

The training step is chosen from the kind, which is the type, never from a name:

- `LossWeighting` maps losses to one scalar;
- `GramianWeighting` maps the Gramian (T, T) of the tasks' gradients to weights (T,);
- `JacobianWeighting` maps the Jacobian (T, P) of the tasks' gradients to a direction (P,).
"""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor, nn

from mtlkit.vocabulary import LossTerm


@attrs.frozen(eq=False)
class StepLosses:
    """The losses of one (micro-)batch.

    `per_sample` (T, N) is exactly 0 where a target is missing. `counts` (T,) is the number of
    targets present in the whole batch, over all its micro-batches and ranks, by which sums are
    divided, and `share` the part of the whole batch that these N samples are. So what is summed
    over micro-batches and ranks has the value of the whole batch.
    """

    terms: tuple[LossTerm, ...]
    per_sample: Tensor
    counts: Tensor
    share: float
    features: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean loss of each term (T,) over the targets present; 0 where there is none."""
        return self.per_sample.sum(dim=1) / self.counts.clamp(min=1)


@attrs.frozen(eq=False)
class Weighted:
    """What a loss weighting gives: the scalar to differentiate, and the weights (T,) to log."""

    total: Tensor
    weights: Tensor


class WeightingModule(nn.Module, ABC):
    """The parent of the three kinds; all state is in parameters and buffers.

    Learned weights are an optimiser group of their own without weight decay, whose learning rate is
    the configuration's `Weighting.own_learning_rate`.
    """


class LossWeighting(WeightingModule):
    """Maps losses to one scalar."""

    @abstractmethod
    def forward(self, losses: StepLosses) -> Weighted:
        """The scalar to differentiate, and the weights (T,) it amounts to."""


class GramianWeighting(WeightingModule):
    """Maps the Gramian of the tasks' gradients to weights."""

    @abstractmethod
    def forward(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Weights (T,) from the Gramian (T, T) of the gradients and the losses (T,)."""


class JacobianWeighting(WeightingModule):
    """Maps the Jacobian of the tasks' gradients to a direction."""

    @abstractmethod
    def forward(self, jacobian: Tensor, losses: Tensor) -> Tensor:
        """The direction (P,) from the Jacobian (T, P) and the losses (T,)."""
