"""The contract between losses and updates: what a weighting reads, and the kinds of weightings.

The training step is chosen by the kind, which is the type, never by a name:

- `LossWeighting` maps the losses of a (micro-)batch to one scalar; `WholeBatch` first reads a
  summary of the whole update, and `BatchLossWeighting` maps its mean losses to weights;
- `GramianWeighting` maps the Gramian (K, K) of the tasks' gradients to weights (K,);
  `DoubleSampling` and `Lookahead` read the product of the Jacobians of two draws instead;
- `JacobianWeighting` maps the Jacobian (K, P) of the tasks' gradients to a direction (P,);
  `StatefulJacobian` keeps state of that size.

`AfterStep` and `RequiresPositiveLosses` are mixed into any of them. Of T loss terms, a weighting
reads the K that have a label in the update: a task without labels has no gradient, which differs
from a gradient of zero.
"""

from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor, nn

from mtlkit.task_types import LossTerm


@attrs.frozen
class StepInfo:
    """The time of an update, and the seed of what is random in it: equal on every rank."""

    number: int = 0  # updates before this one
    epoch: int = 0
    opens_epoch: bool = False  # whether it is the first of its epoch
    seed: int = 0

    def generator(self) -> torch.Generator:
        """Return a new generator on the CPU, always in the same state.

        >>> step = StepInfo(seed=7)
        >>> bool(torch.rand(2, generator=step.generator()).equal(
        ...     torch.rand(2, generator=step.generator())))
        True
        """
        return torch.Generator().manual_seed(self.seed)


@attrs.frozen(eq=False)
class UpdateStats:
    """Statistics of a whole update, over all its micro-batches and ranks.

    `losses` (K,) are the mean losses, detached, and `indices` (K,) those of their terms among T.
    """

    losses: Tensor
    indices: Tensor
    step: StepInfo = attrs.field(factory=StepInfo)


@attrs.frozen(eq=False)
class StepLosses:
    """The losses of one (micro-)batch.

    `per_sample` (T, N) is exactly 0 where a target is missing. `counts` (T,) is the number of
    targets present in the whole update, over all its micro-batches and ranks, by which sums are
    divided, and `fraction` the part of the update that these N samples are. So what is summed over
    micro-batches and ranks has the value of the whole update.

    `summary` is the sum of what a `WholeBatch` summarized, and `decided` (T,) the weights of a
    `BatchLossWeighting`, both for the whole update; None if this batch is all of it.
    """

    terms: tuple[LossTerm, ...]
    per_sample: Tensor
    counts: Tensor
    fraction: float
    features: Tensor
    summary: Tensor | None = None
    decided: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """The mean loss of each term (T,) over the targets present; 0 if there is none."""
        return self.per_sample.sum(dim=1) / self.counts.clamp(min=1)

    @property
    def present(self) -> Tensor:
        """1 for each term (T,) that has a target in the whole update, 0 for the others."""
        return (self.counts > 0).to(self.per_sample.dtype)


@attrs.frozen(eq=False)
class WeightedLoss:
    """Result of a loss weighting: the scalar to differentiate, and the weights (T,) to log."""

    total: Tensor
    weights: Tensor


@attrs.frozen(eq=False)
class Direction:
    """Result of a Jacobian weighting: a direction (P,), and weights (K,) to log."""

    direction: Tensor
    weights: Tensor


class WeightingModule(nn.Module, ABC):
    """The parent of the kinds; all state is in parameters and buffers, and so in checkpoints.

    Learned weights form an optimizer group without weight decay, whose learning rate is
    `Weighting.own_learning_rate`.
    """


class LossWeighting(WeightingModule):
    """Maps the losses of a (micro-)batch to one scalar, which must be a sum over samples.

    Called once for each micro-batch of an update, so it keeps no count of calls.
    """

    @abstractmethod
    def forward(self, losses: StepLosses) -> WeightedLoss:
        """Return the scalar to differentiate, and the weights (T,) it amounts to."""


class WholeBatch(LossWeighting):
    """A loss weighting that reads a summary of the whole update before it weighs a part."""

    @abstractmethod
    def summarize(self, losses: StepLosses) -> Tensor:
        """Return what is summed over all parts, detached; `losses.summary` holds the sum."""


class BatchLossWeighting(WholeBatch):
    """Weights from the mean losses of the whole update; `weights` is called once an update."""

    @abstractmethod
    def weights(self, stats: UpdateStats) -> Tensor:
        """Return weights (K,) from the mean losses (K,) of the terms present."""

    def summarize(self, losses: StepLosses) -> Tensor:
        return losses.mean.detach()

    def forward(self, losses: StepLosses) -> WeightedLoss:
        weights = losses.decided
        if weights is None:  # this batch is the whole update
            indices = losses.counts.nonzero().flatten()
            stats = UpdateStats(losses.mean.detach()[indices], indices)
            weights = scatter(self.weights(stats), indices, len(losses.terms))
        return WeightedLoss((weights * losses.mean).sum(), weights)


class GramianWeighting(WeightingModule):
    """Maps the Gramian of the tasks' gradients to weights; called once an update."""

    @abstractmethod
    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        """Return weights (K,) from the Gramian (K, K) of the gradients, in float64."""


class DoubleSampling(GramianWeighting):
    """Reads J1 J2', the product of the Jacobians of two draws, instead of the Gramian.

    The samples of an update are divided into three draws; the third gets the weights, which are
    then independent of it (the double sampling of MoDo and SDMGrad).
    """


class Lookahead(GramianWeighting):
    """Reads J1 J2', with J2 taken after a step along its current weights.

    The samples of an update are divided into two draws; the first gives the step and then gets the
    weights, the second evaluates the step (Auto-Lambda).
    """

    @abstractmethod
    def current_weights(self, indices: Tensor) -> Tensor:
        """Return the weights (K,) of the step that is tried."""


class JacobianWeighting(WeightingModule):
    """Maps the Jacobian of the tasks' gradients to a direction; called once an update."""

    @abstractmethod
    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        """Return the direction (P,) from the Jacobian (K, P)."""


class StatefulJacobian(JacobianWeighting):
    """A Jacobian weighting whose state has an entry for every parameter."""

    @abstractmethod
    def allocate(self, elements: int) -> None:
        """Allocate state for Jacobians (T, `elements`); called once, before any state is loaded."""


class AfterStep(ABC):
    """A weighting that learns from the losses of the same samples after the update."""

    @abstractmethod
    def after_step(self, before: UpdateStats, after: Tensor) -> None:
        """Learn from the losses (K,) before and after the update just made."""


class RequiresPositiveLosses:
    """A weighting that divides by losses or takes their logarithm; see `positive`."""


def scatter(values: Tensor, indices: Tensor, terms: int) -> Tensor:
    """Return `values` (K,) at their `indices` among `terms` terms (T,), and 0 elsewhere.

    >>> scatter(torch.tensor([3.0, 5.0]), torch.tensor([0, 2]), 3).tolist()
    [3.0, 0.0, 5.0]
    """
    return values.new_zeros(terms).index_copy(0, indices, values)


def positive(losses: Tensor) -> Tensor:
    """Return losses whose logarithm exists: a loss of 0 becomes 1e-8, a negative one NaN.

    The NaN makes a weight that is not finite, at which the step stops with an error. Testing the
    sign in every step would sync with the device.

    >>> positive(torch.tensor([2.0, 0.0, -1.0])).tolist()
    [2.0, 9.99999993922529e-09, nan]
    """
    return torch.where(losses < 0, torch.nan, losses.clamp(min=1e-8))
