"""What is settled for a whole update before any part of it is differentiated.

A weighting of the whole batch or of gradients must see every micro-batch and every rank first. Each
micro-batch gives a `MicroBatchStats`; from all of them comes one `TaskWeights`, the same on every
rank.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.training.gradients.features import gramian_of
from mtlkit.training.gradients.sources import GradientSource
from mtlkit.training.ranks import Ranks
from mtlkit.weightings.kinds import (
    BatchLossWeighting,
    GramianWeighting,
    JacobianWeighting,
    Known,
    LossWeighting,
    StepInfo,
    WholeBatch,
    spread,
)


@attrs.frozen(eq=False)
class UpdateInfo:
    """The update that a micro-batch is a part of.

    `counts` (T,) is the number of targets present, over all micro-batches and ranks, and `places`
    (K,) says which terms have one; `complete` that all have; `watch` that the tasks' gradients are
    to be looked at.
    """

    counts: Tensor
    places: Tensor
    complete: bool = False
    moment: StepInfo = attrs.field(factory=StepInfo)
    watch: bool = False

    def present(self, values: Tensor) -> Tensor:
        """Those of `values` (T, ...) that belong to terms with a target (K, ...)."""
        return values if self.complete else values[self.places]

    def spread(self, values: Tensor) -> Tensor:
        """`values` (K,) as (T,), in float32, with 0 for a term without a target."""
        values = values.float()
        return values if self.complete else spread(values, self.places, len(self.counts))

    def known(self, losses: Tensor) -> Known:
        """What a weighting is told, with the mean losses (T,)."""
        return Known(self.present(losses), self.places, self.moment)


@attrs.frozen(eq=False)
class MicroBatchStats:
    """What one micro-batch of one rank tells: its losses (T,) or summary, its gradients.

    `rows` of a provider whose parts add up are with the first micro-batch, for all.

    `per_sample` (T, N) are its losses, detached.
    """

    per_sample: Tensor
    summary: Tensor
    rows: Tensor | None = None
    gramian: Tensor | None = None  # of the whole update, where it is one micro-batch


@attrs.frozen(eq=False)
class TaskWeights:
    """What an update does: each where the kind of weighting has it.

    `summary` is that of the whole update, `weights` (T,) are decided, `parts` are what each of this
    rank's micro-batches carries of a direction, and `gramian` (T, T) is to be logged.
    """

    summary: Tensor | None = None
    weights: Tensor | None = None
    parts: Sequence[Tensor] = ()
    gramian: Tensor | None = None


def decide_by_losses(
    weighting: LossWeighting, seen: Sequence[MicroBatchStats], whole: UpdateInfo, ranks: Ranks
) -> TaskWeights:
    """The decision of a weighting of losses; nothing where it is a plain sum over samples."""
    if isinstance(weighting, BatchLossWeighting):
        return _decide_by_means(weighting, _summed(seen, ranks), whole)
    return TaskWeights(_summed(seen, ranks)) if isinstance(weighting, WholeBatch) else TaskWeights()


def _decide_by_means(
    weighting: BatchLossWeighting, means: Tensor, whole: UpdateInfo
) -> TaskWeights:
    """The decision by the mean losses (T,) of the whole update."""
    with torch.no_grad():
        weights = weighting.weights(whole.known(means))
    return TaskWeights(means, whole.spread(weights))


def decide_by_gradients(
    weighting: GramianWeighting | JacobianWeighting,
    seen: Sequence[MicroBatchStats],
    whole: UpdateInfo,
    ranks: Ranks,
    provider: GradientSource,
) -> TaskWeights:
    """The decision of a weighting of gradients."""
    losses = _summed(seen, ranks)
    rows = [each.rows for each in seen if each.rows is not None]
    if isinstance(weighting, JacobianWeighting):
        jacobian = provider.joined(rows)
        with torch.no_grad():
            directed = weighting(whole.present(jacobian), whole.known(losses))
        return TaskWeights(
            weights=whole.spread(directed.weights),
            parts=provider.parts(directed.direction, rows, len(seen)),
            gramian=gramian_of(jacobian) if whole.watch else None,
        )
    gramian = seen[0].gramian if seen[0].gramian is not None else provider.gramian(rows)
    return TaskWeights(weights=weigh(weighting, gramian, losses, whole), gramian=gramian)


def weigh(
    weighting: GramianWeighting, gramian: Tensor, losses: Tensor, whole: UpdateInfo
) -> Tensor:
    """The weights (T,) of a `gramian` (T, T) over all terms; NaN where it is not finite.

    Solvers are not asked about a NaN, at which some stop with an error of their own: the step says
    which task's loss it came from.
    """
    at = whole.places
    present = gramian if whole.complete else gramian[at][:, at]
    finite = (present.sum() + losses.sum()).isfinite()
    with torch.no_grad():
        weights = weighting(torch.where(finite, present, 0.0), whole.known(losses))
    return whole.spread(torch.where(finite, weights, torch.nan))


def _summed(seen: Sequence[MicroBatchStats], ranks: Ranks) -> Tensor:
    """The summary of the whole update, from those of its parts."""
    if len(seen) == 1:
        return ranks.sum(seen[0].summary)
    return ranks.sum(torch.stack([each.summary for each in seen]).sum(dim=0))
