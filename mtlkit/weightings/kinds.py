"""Interfaces between training steps and weightings.

The parent class of a weighting selects the training step:

- `LossWeighting` maps the losses of a (micro-)batch to one scalar; `WholeBatch` first reads a
  summary of the whole update, and `BatchLossWeighting` maps mean losses to weights;
- `GramianWeighting` maps the Gramian (K, K) of the tasks' gradients to weights (K,);
  `DoubleSampling` and `LookaheadWeighting` read the product of the Jacobians of two draws instead;
- `JacobianWeighting` maps the Jacobian (K, P) of the tasks' gradients to a direction (P,);
  `StatefulJacobian` also keeps state of that size, and `ReadsFeatures` reads the features.

`AfterStep`, `WeightsHeads` and `RequiresPositiveLosses` are mixins for any of them. Of T loss
terms, a weighting reads the K that have a target in the update: a task without targets has no
gradient, which differs from a gradient of zero.
"""

from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor, nn

from mtlkit.task_types import LossTerm


@attrs.frozen
class StepInfo:
    """Position of an update in training and seed of its random numbers; equal on every rank."""

    number: int = 0  # updates before this one
    epoch: int = 0
    opens_epoch: bool = False  # True for the first update of an epoch
    seed: int = 0

    def generator(self) -> torch.Generator:
        """Return a new CPU generator, always in the same state.

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
    `features` (P,) are the features at which a `ReadsFeatures` gets gradients, in the order of
    their columns; None elsewhere.
    """

    losses: Tensor
    indices: Tensor
    step: StepInfo = attrs.field(factory=StepInfo)
    features: Tensor | None = None

    @property
    def positive_losses(self) -> Tensor:
        """The losses to divide by or to take the logarithm of: see `positive`."""
        return positive(self.losses)


@attrs.frozen(eq=False)
class StepLosses:
    """Losses of one (micro-)batch.

    `per_sample` (T, N) are the losses of the samples and `weights` (T, N) their weights, such as
    numbers of labeled pixels; both are exactly 0 if the target is missing. `counts` (T,) is the sum
    of the weights in the whole update, over all micro-batches and ranks, and divides weighted sums
    over samples. `fraction` is the fraction of the update's samples in this batch. Results summed
    over micro-batches and ranks therefore have the value of the whole update.

    `features` (N, D) are the pooled features in the dtype of the losses.

    `summary` is the sum of the summaries of a `WholeBatch` for the whole update; None if this batch
    is the whole update.

    Computed from these, `weighted` (T, N) is the loss of each sample times its weight, and `mean`
    (T,) the weighted mean loss of each term over its samples, 0 for a term without targets.
    """

    terms: tuple[LossTerm, ...]
    per_sample: Tensor
    weights: Tensor
    counts: Tensor
    fraction: float
    features: Tensor
    summary: Tensor | None = None
    weighted: Tensor = attrs.field(init=False)
    mean: Tensor = attrs.field(init=False)

    @weighted.default
    def _weighted(self) -> Tensor:
        return self.per_sample * self.weights

    @mean.default
    def _mean(self) -> Tensor:
        return self.weighted.sum(dim=1) / self.counts.clamp(min=1)

    @property
    def present(self) -> Tensor:
        """1 for each term (T,) with a target in the whole update, 0 for the others."""
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
    """Base class of all weightings. State is kept in parameters and buffers, and so in checkpoints.

    Learned weights form an optimizer group without weight decay, whose learning rate is
    `Weighting.own_learning_rate`.
    """


class LossWeighting(WeightingModule):
    """Map the losses of a (micro-)batch to one scalar, which must be a sum over samples.

    Called once per micro-batch, so the number of calls differs from the number of updates.
    """

    @abstractmethod
    def forward(self, losses: StepLosses) -> WeightedLoss:
        """Return the scalar to differentiate and the effective weights (T,)."""


class WholeBatch(LossWeighting):
    """A loss weighting that reads a summary of the whole update before it weights a part."""

    def summarize(self, losses: StepLosses) -> Tensor:
        """Return a detached summary of this part; `losses.summary` is the sum over all parts.

        The default is the mean losses (T,).
        """
        return losses.mean.detach()


class BatchLossWeighting(WholeBatch):
    """Map the mean losses of the whole update to weights; `weights` is called once per update."""

    @abstractmethod
    def weights(self, stats: UpdateStats) -> Tensor:
        """Return weights (K,) from the mean losses (K,) of the terms with targets."""

    def forward(self, losses: StepLosses) -> WeightedLoss:
        indices = losses.counts.nonzero().flatten()
        stats = UpdateStats(losses.mean.detach()[indices], indices)
        weights = scatter(self.weights(stats).float(), indices, len(losses.terms))
        return WeightedLoss(weights @ losses.mean, weights)


class GramianWeighting(WeightingModule):
    """Map the Gramian of the tasks' gradients to weights; called once per update."""

    @abstractmethod
    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        """Return weights (K,) from the float64 Gramian (K, K) of the gradients."""


class DoubleSampling(GramianWeighting):
    """Read J1 J2', the product of the Jacobians of two draws, instead of the Gramian.

    The samples of an update are split into three draws. The weights apply to the third and are
    therefore independent of it (the double sampling of MoDo and SDMGrad).
    """


class LookaheadWeighting(GramianWeighting):
    """Read J1 J2', with J2 computed after a trial step along the current weights.

    The samples of an update are split into two draws. The first defines the trial step and receives
    the weights; the second evaluates the trial step (Auto-Lambda).
    """

    @abstractmethod
    def current_weights(self, indices: Tensor) -> Tensor:
        """Return the weights (K,) of the trial step."""


class JacobianWeighting(WeightingModule):
    """Map the Jacobian of the tasks' gradients to a direction; called once per update."""

    @abstractmethod
    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        """Return the direction (P,) from the Jacobian (K, P)."""


class ReadsFeatures(JacobianWeighting):
    """A Jacobian weighting that also reads the features, which are `UpdateStats.features`.

    It needs gradients at the features, and one output of the backbone.
    """


class StatefulJacobian(JacobianWeighting):
    """A Jacobian weighting whose state has an entry for every parameter."""

    @abstractmethod
    def allocate(self, elements: int) -> None:
        """Allocate state for Jacobians (T, `elements`); called once, before state is loaded."""


class AfterStep(ABC):
    """A weighting that learns from the losses of the same samples after the update."""

    @abstractmethod
    def after_step(self, before: UpdateStats, after: Tensor) -> None:
        """Update the weights from the losses (K,) before and after the update."""


class WeightsHeads(ABC):
    """A weighting of gradients with separate weights for heads that are ``weighted``."""

    @abstractmethod
    def head_weights(self, stats: UpdateStats) -> Tensor:
        """Return the weights (K,) of the heads' losses; called after `forward`, once per update."""


class RequiresPositiveLosses:
    """A weighting that divides by losses or takes their logarithm; see `positive`."""


def scatter(values: Tensor, indices: Tensor, terms: int) -> Tensor:
    """Return `values` (K,) at their `indices` in a vector (`terms`,), and 0 elsewhere.

    >>> scatter(torch.tensor([3.0, 5.0]), torch.tensor([0, 2]), 3).tolist()
    [3.0, 0.0, 5.0]
    """
    return values.new_zeros(terms).index_copy(0, indices, values)


def positive(losses: Tensor) -> Tensor:
    """Return `losses` with 0 replaced by 1e-8 and negative values by NaN, for logarithms.

    A NaN makes the weight NaN, which the step reports as an error. Testing the sign in every step
    would sync with the device.

    >>> positive(torch.tensor([2.0, 0.0, -1.0])).tolist()
    [2.0, 9.99999993922529e-09, nan]
    """
    return torch.where(losses < 0, torch.nan, losses.clamp(min=1e-8))
