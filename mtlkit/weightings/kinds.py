"""The seam between losses and updates: what a weighting sees, and the kinds there are.

The training step is chosen from the kind, which is the type, never from a name:

- `LossWeighting` maps the losses of a (micro-)batch to one scalar; `BatchLossWeighting` is the one
  that first maps the mean losses of a whole update to weights;
- `GramianWeighting` maps the Gramian (K, K) of the tasks' gradients to weights (K,);
- `JacobianWeighting` maps the Jacobian (K, P) of the tasks' gradients to a direction (P,).

What a weighting wants beside that is a type too: `WholeBatch`, `AfterStep`, `DoubleSampling`,
`Lookahead`, `StatefulJacobian`, `RequiresPositiveLosses`. Of T loss terms, the K that have a label
in the update are shown: a task without labels has no gradient, which is not a gradient of zero.
"""

from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor, nn

from mtlkit.task_types import LossTerm


@attrs.frozen
class StepInfo:
    """When an update happens, and what its chance is drawn from: the same on every rank."""

    step: int = 0  # updates made before this one
    epoch: int = 0
    opens: bool = False  # whether it is the first of its epoch
    key: int = 0

    def generator(self) -> torch.Generator:
        """A fresh generator on the CPU, at the same place whenever it is asked for.

        >>> moment = StepInfo(key=7)
        >>> bool(torch.rand(2, generator=moment.generator()).equal(
        ...     torch.rand(2, generator=moment.generator())))
        True
        """
        return torch.Generator().manual_seed(self.key)


@attrs.frozen(eq=False)
class Known:
    """What is known of a whole update, over all its micro-batches and ranks, before it is made.

    `losses` (K,) are the mean losses, detached; `places` (K,) says which of the T terms they are.
    """

    losses: Tensor
    places: Tensor
    moment: StepInfo = attrs.field(factory=StepInfo)


@attrs.frozen(eq=False)
class StepLosses:
    """The losses of one (micro-)batch.

    `per_sample` (T, N) is exactly 0 where a target is missing. `counts` (T,) is the number of
    targets present in the whole update, over all its micro-batches and ranks, by which sums are
    divided, and `share` the part of the update that these N samples are. So what is summed over
    micro-batches and ranks has the value of the whole update.

    `summary` is what a `WholeBatch` asked for, and `decided` (T,) the weights that a
    `BatchLossWeighting` gave, both for the whole update; None where this batch is all of it.
    """

    terms: tuple[LossTerm, ...]
    per_sample: Tensor
    counts: Tensor
    share: float
    features: Tensor
    summary: Tensor | None = None
    decided: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """The mean loss of each term (T,) over the targets present; 0 where there is none."""
        return self.per_sample.sum(dim=1) / self.counts.clamp(min=1)

    @property
    def seen(self) -> Tensor:
        """1 for each term (T,) that has a target in the whole update, 0 for the others."""
        return (self.counts > 0).to(self.per_sample.dtype)


@attrs.frozen(eq=False)
class WeightedLoss:
    """What a loss weighting gives: the scalar to differentiate, and the weights (T,) to log."""

    total: Tensor
    weights: Tensor


@attrs.frozen(eq=False)
class Direction:
    """What a Jacobian weighting gives: a direction (P,), and weights (K,) to log."""

    direction: Tensor
    weights: Tensor


class WeightingModule(nn.Module, ABC):
    """The parent of the kinds; all state is in parameters and buffers, and so in checkpoints.

    Learned weights are an optimiser group of their own without weight decay, whose learning rate is
    the configuration's `Weighting.own_learning_rate`.
    """


class LossWeighting(WeightingModule):
    """Maps the losses of a (micro-)batch to one scalar, which must be a sum over samples.

    Called once for each micro-batch of an update, so it keeps no count of calls.
    """

    @abstractmethod
    def forward(self, losses: StepLosses) -> WeightedLoss:
        """The scalar to differentiate, and the weights (T,) it amounts to."""


class WholeBatch(ABC):
    """A loss weighting that must know something of the whole update before it weighs a part."""

    @abstractmethod
    def summarise(self, losses: StepLosses) -> Tensor:
        """What is to be summed over all parts, detached; it comes back as `losses.summary`."""


class BatchLossWeighting(LossWeighting, WholeBatch):
    """Weights from the mean losses of the whole update; `weights` is called once an update."""

    @abstractmethod
    def weights(self, known: Known) -> Tensor:
        """Weights (K,) from the mean losses (K,) of the terms present."""

    def summarise(self, losses: StepLosses) -> Tensor:
        return losses.mean.detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = losses.decided
        if weights is None:  # this batch is the whole update
            places = losses.counts.nonzero().flatten()
            known = Known(losses.mean.detach()[places], places)
            weights = spread(self.weights(known), places, len(losses.terms))
        return WeightedLoss((weights * losses.mean).sum(), weights)


class GramianWeighting(WeightingModule):
    """Maps the Gramian of the tasks' gradients to weights; called once an update."""

    @abstractmethod
    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        """Weights (K,) from the Gramian (K, K) of the gradients, in float64."""


class JacobianWeighting(WeightingModule):
    """Maps the Jacobian of the tasks' gradients to a direction; called once an update."""

    @abstractmethod
    def forward(self, jacobian: Tensor, known: Known) -> Direction:
        """The direction (P,) from the Jacobian (K, P)."""


class AfterStep(ABC):
    """A weighting that learns from the losses of the same samples after the update."""

    @abstractmethod
    def after_step(self, before: Known, after: Tensor) -> None:
        """Learn from the losses (K,) of before and after the update just made."""


class DoubleSampling:
    """A Gramian weighting that sees two draws of samples: J1 J2^T in place of the Gramian.

    The samples of an update are divided into three draws; the third gets the weights, which are
    then independent of it (the double sampling of MoDo and SDMGrad).
    """


class Lookahead(ABC):
    """A Gramian weighting that sees J1 J2^T with J2 taken after a step along its present weights.

    The samples of an update are divided into two draws; the first is stepped along and then gets
    the weights, the second judges the step (Auto-Lambda).
    """

    @abstractmethod
    def present_weights(self, places: Tensor) -> Tensor:
        """The weights (K,) of the step that is looked at."""


class StatefulJacobian(ABC):
    """A Jacobian weighting whose state has an entry for every parameter."""

    @abstractmethod
    def allocate(self, elements: int) -> None:
        """Make room for Jacobians (T, `elements`); called once, before any state is loaded."""


class RequiresPositiveLosses:
    """A weighting that divides by losses or takes their logarithm; see `positive`."""


def spread(values: Tensor, places: Tensor, terms: int) -> Tensor:
    """`values` (K,) at their `places` among `terms` terms (T,), and 0 elsewhere.

    >>> spread(torch.tensor([3.0, 5.0]), torch.tensor([0, 2]), 3).tolist()
    [3.0, 0.0, 5.0]
    """
    return values.new_zeros(terms).index_copy(0, places, values)


def positive(losses: Tensor) -> Tensor:
    """Losses whose logarithm may be taken: a loss of 0 becomes 1e-8, a negative one NaN.

    The NaN makes a weight that is not finite, at which the step stops and says why, without a
    question to the device in every step.

    >>> positive(torch.tensor([2.0, 0.0, -1.0])).tolist()
    [2.0, 9.99999993922529e-09, nan]
    """
    return torch.where(losses < 0, torch.nan, losses.clamp(min=1e-8))
