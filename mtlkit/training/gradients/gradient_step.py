"""Steps of weightings of gradients: the gradient of the scalar is the weighted gradient.

The features are detached. One backward pass through the heads computes every task's gradient at the
features, and those of the heads themselves if these are unweighted. A surrogate loss propagates the
weighted gradient into the backbone.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.batch import Part, Rehearsal, Rehearse, UpdateInfo
from mtlkit.training.gradients.forward_pass import ForwardPass
from mtlkit.training.gradients.gramian import gramian_of
from mtlkit.training.gradients.sources import GradientSource, moved
from mtlkit.training.gradients.step import StepResult, TaskWeights, WeightingStep
from mtlkit.training.gradients.surrogate import surrogate_loss
from mtlkit.training.gradients.task_gradients import GradientStream
from mtlkit.weightings.base import HeadGradients
from mtlkit.weightings.kinds import (
    GramianWeighting,
    JacobianWeighting,
    LookaheadWeighting,
    UpdateStats,
)


class GradientStep(WeightingStep):
    """A step that reads the tasks' gradients from a `source`; subclasses decide by them."""

    reads_gradients: ClassVar[bool] = True
    weighting: GramianWeighting | JacobianWeighting
    reads_features: bool = False
    """True if the weighting reads the features; set by the factory, as `weights_of_heads`."""
    weights_of_heads: Callable[[UpdateStats], Tensor] | None = None
    """Returns the weights (K,) of the heads' losses, if these have separate ones."""

    def __init__(
        self,
        passes: ForwardPass[Any],
        weighting: GramianWeighting | JacobianWeighting,
        ranks: Ranks,
        heads: HeadGradients,
        source: GradientSource,
    ) -> None:
        super().__init__(passes, weighting, ranks)
        self.source = source
        self.weights_heads = heads is HeadGradients.WEIGHTED

    def run(self, part: Part, update: UpdateInfo, decision: TaskWeights | None) -> StepResult:
        heads_too = self.passes.separate or not self.weights_heads
        gradients = self.passes.gradients(part, update, heads=heads_too)
        if decision is None:
            decision = self.decide_by(GradientStream([gradients]), update)
        weights, losses = decision.weights, gradients.losses
        assert weights is not None
        if decision.parts:
            shared = self.source.pairs(gradients, decision.parts[part.index])
        else:
            shared = gradients.ends.pairs(weights @ gradients.rows)
        at_heads = weights if decision.heads is None else decision.heads
        heads = gradients.weighted_heads if self.weights_heads else gradients.unweighted_heads
        value, behind = heads(at_heads)
        total = surrogate_loss((*shared, *behind), value)
        gramian = decision.gramian
        if gramian is not None and part.fraction != 1:
            gramian = gramian * part.fraction
        return StepResult(total, losses.weighted.detach(), weights, gramian, decision.overflow)

    def stream(self, rehearsal: Rehearsal) -> GradientStream:
        """Return the gradients of a draw, computed as they are read."""
        graph = bool(self.source.parameters)
        gradients = (
            self.passes.gradients(part, rehearsal.update, heads=False, backbone_graph=graph)
            for part in rehearsal.parts
        )
        return GradientStream(gradients, rehearsal.count)

    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        return self.decide_by(self.stream(rehearse(0)), update)

    def head_weights(self, losses: Tensor, update: UpdateInfo) -> Tensor | None:
        """Return the heads' weights (T,) if they have separate ones, from mean `losses` (T,)."""
        if self.weights_of_heads is None:
            return None
        with torch.no_grad():
            return update.scatter(self.weights_of_heads(update.stats(losses)))

    def overflows(self, gradients: Tensor) -> bool:
        """Return whether scaled gradients over all ranks are not finite; waits for the device."""
        return self.passes.scale is not None and not bool(gradients.isfinite().all())

    @abstractmethod
    def decide_by(self, stream: GradientStream, update: UpdateInfo) -> TaskWeights:
        """Return the decision from the gradients of an update that is one draw."""


class GramianStep(GradientStep):
    """A step that computes weights from the Gramian of the update."""

    weighting: GramianWeighting

    def decide_by(self, stream: GradientStream, update: UpdateInfo) -> TaskWeights:
        gramian = self.source.gramian(stream)
        losses = self.ranks.sum(stream.losses)
        if self.overflows(gramian):
            return skipped(losses)
        weights = weigh(self.weighting, gramian, losses, update)
        return TaskWeights(
            weights=weights, heads=self.head_weights(losses, update), gramian=gramian
        )


class JacobianStep(GradientStep):
    """A step that computes a direction from the Jacobian of the update."""

    weighting: JacobianWeighting

    def decide_by(self, stream: GradientStream, update: UpdateInfo) -> TaskWeights:
        jacobian = self.source.jacobian(stream.with_features() if self.reads_features else stream)
        rows, features = jacobian.rows, None
        if self.reads_features:
            rows, features = rows[:-1], rows[-1]
        losses = self.ranks.sum(stream.losses)
        if self.overflows(rows):
            return skipped(losses)
        stats = attrs.evolve(update.stats(losses), features=features)
        with torch.no_grad():
            result = self.weighting(update.present(rows), stats)
        return TaskWeights(
            weights=update.scatter(result.weights),
            heads=self.head_weights(losses, update),
            parts=jacobian.parts(result.direction),
            gramian=gramian_of(rows) if update.watch else None,
        )


@attrs.frozen(eq=False)
class _Draw:
    """The Jacobian (T, P), mean losses (T,) and weighted losses of each sample of a draw."""

    jacobian: Tensor
    losses: Tensor
    per_sample: Sequence[Tensor]


class _DrawsStep(GramianStep):
    """A step that computes weights from the product J1 J2' of the Jacobians of two draws."""

    def draw(self, rehearsal: Rehearsal) -> _Draw:
        """Return the Jacobian and the losses of one draw, over all ranks."""
        stream = self.stream(rehearsal)
        jacobian = self.source.jacobian(stream).rows
        return _Draw(jacobian, self.ranks.sum(stream.losses), stream.per_sample)

    def decide_by_draws(
        self, first: _Draw, second: _Draw, rehearsed: Sequence[_Draw], update: UpdateInfo
    ) -> TaskWeights:
        """Return the decision from two draws; `rehearsed` are those that are not differentiated."""
        crossed = gramian_of(first.jacobian, second.jacobian)
        losses = [losses for draw in rehearsed for losses in draw.per_sample]
        if self.overflows(crossed):
            return attrs.evolve(skipped(first.losses), rehearsed=losses)
        return TaskWeights(
            weights=weigh(self.weighting, crossed, first.losses, update),
            gramian=gramian_of(first.jacobian) if update.watch else None,
            rehearsed=losses,
        )


class DoubleSamplingStep(_DrawsStep):
    """A step that applies weights from two draws to the gradient of an independent third."""

    draws: ClassVar[int] = 3
    trained: ClassVar[int] = 2

    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        first, second = self.draw(rehearse(0)), self.draw(rehearse(1))
        return self.decide_by_draws(first, second, [first, second], update)


class LookaheadStep(_DrawsStep):
    """A step that weighs one draw by the gradients of another after a step along the first."""

    draws: ClassVar[int] = 2
    reads_rate: ClassVar[bool] = True
    weighting: LookaheadWeighting

    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        first = self.draw(rehearse(0))
        along = self.weighting.current_weights(update.indices) @ update.present(first.jacobian)
        if self.overflows(along):
            along = torch.zeros_like(along)  # the update is skipped
        with moved(self.source.parameters, -rate * along):
            second = self.draw(rehearse(1))
        return self.decide_by_draws(first, second, [second], update)


def skipped(losses: Tensor) -> TaskWeights:
    """Return the decision for an update whose gradients overflow, from the mean `losses` (T,)."""
    return TaskWeights(weights=torch.zeros_like(losses), overflow=True)


def weigh(
    weighting: GramianWeighting, gramian: Tensor, losses: Tensor, update: UpdateInfo
) -> Tensor:
    """Return the weights (T,) of a `gramian` (T, T) over all terms; NaN if it is not finite.

    Some solvers fail on a NaN with an error that names no task, so they receive zeros instead.
    """
    indices = update.indices
    present = gramian if update.complete else gramian[indices][:, indices]
    if present.device.type == "cpu":
        if not math.isfinite(present.sum().item() + losses.sum().item()):
            return update.scatter(torch.full_like(present[0], torch.nan))
        with torch.no_grad():
            return update.scatter(weighting(present, update.stats(losses)))
    finite = (present.sum() + losses.sum()).isfinite()  # stays on the device, which avoids a sync
    with torch.no_grad():
        weights = weighting(torch.where(finite, present, 0.0), update.stats(losses))
    return update.scatter(torch.where(finite, weights, torch.nan))
