"""What is settled for a whole update before any part of it is differentiated.

A weighting of the whole batch or of gradients must see every micro-batch and every rank first. Each
micro-batch gives an `Observation`; from all of them comes one `Decision`, the same on every rank.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.train.gradients import gramian_of
from mtlkit.train.providers import Provider
from mtlkit.train.ranks import Ranks
from mtlkit.weighting.module import (
    BatchLossWeighting,
    GramianWeighting,
    JacobianWeighting,
    Known,
    LossWeighting,
    Moment,
    WholeBatch,
    spread,
)


@attrs.frozen(eq=False)
class Whole:
    """The update that a micro-batch is a part of.

    `counts` (T,) is the number of targets present, over all micro-batches and ranks, and `places`
    (K,) says which terms have one; `watch` whether the tasks' gradients are to be looked at.
    """

    counts: Tensor
    places: Tensor
    moment: Moment = attrs.field(factory=Moment)
    watch: bool = False


@attrs.frozen(eq=False)
class Observation:
    """What one micro-batch of one rank tells: its losses (T,) or summary, its gradients.

    `per_sample` (T, N) are its losses, detached.
    """

    per_sample: Tensor
    summary: Tensor
    rows: Tensor | None = None
    gramian: Tensor | None = None  # of the whole update, where it is one micro-batch


@attrs.frozen(eq=False)
class Decision:
    """What an update does: each where the kind of weighting has it.

    `summary` is that of the whole update, `weights` (T,) are decided, `parts` are what each of this
    rank's micro-batches carries of a direction, and `gramian` (T, T) is to be logged.
    """

    summary: Tensor | None = None
    weights: Tensor | None = None
    parts: Sequence[Tensor] = ()
    gramian: Tensor | None = None


def decide_by_losses(
    weighting: LossWeighting, seen: Sequence[Observation], whole: Whole, ranks: Ranks
) -> Decision:
    """The decision of a weighting of losses; nothing where it is a plain sum over samples."""
    if isinstance(weighting, BatchLossWeighting):
        return _decide_by_means(weighting, _summed(seen, ranks), whole)
    return Decision(_summed(seen, ranks)) if isinstance(weighting, WholeBatch) else Decision()


def _decide_by_means(weighting: BatchLossWeighting, means: Tensor, whole: Whole) -> Decision:
    """The decision by the mean losses (T,) of the whole update."""
    known = Known(means[whole.places], whole.places, whole.moment)
    with torch.no_grad():
        weights = weighting.weights(known)
    return Decision(means, spread(weights.float(), whole.places, len(means)))


def decide_by_gradients(
    weighting: GramianWeighting | JacobianWeighting,
    seen: Sequence[Observation],
    whole: Whole,
    ranks: Ranks,
    provider: Provider,
) -> Decision:
    """The decision of a weighting of gradients."""
    losses = _summed(seen, ranks)
    known = Known(losses[whole.places], whole.places, whole.moment)
    rows = [each.rows for each in seen if each.rows is not None]
    if isinstance(weighting, JacobianWeighting):
        jacobian = provider.joined(rows)
        with torch.no_grad():
            directed = weighting(jacobian[whole.places], known)
        return Decision(
            weights=spread(directed.weights.float(), whole.places, len(losses)),
            parts=provider.parts(directed.direction, rows),
            gramian=gramian_of(jacobian),
        )
    gramian = seen[0].gramian if seen[0].gramian is not None else provider.gramian(rows)
    return Decision(weights=weigh(weighting, gramian, known), gramian=gramian)


def weigh(weighting: GramianWeighting, gramian: Tensor, known: Known) -> Tensor:
    """The weights (T,) of a `gramian` (T, T) over all terms; NaN where it is not finite.

    Solvers are not asked about a NaN, at which some stop with an error of their own: the step says
    which task's loss it came from.
    """
    at = known.places
    present = gramian[at][:, at]
    finite = present.isfinite().all() & known.losses.isfinite().all()
    safe = torch.where(finite, present, torch.eye(len(at), dtype=present.dtype, device=at.device))
    with torch.no_grad():
        weights = weighting(safe, known)
    weights = torch.where(finite, weights, torch.nan)
    return spread(weights.float(), at, len(gramian))


def _summed(seen: Sequence[Observation], ranks: Ranks) -> Tensor:
    """The summary of the whole update, from those of its parts."""
    return ranks.sum(torch.stack([each.summary for each in seen]).sum(dim=0))
