"""Steps of weightings of losses: the scalar is the one that the weighting returns.

A step is one forward and one backward pass. A weighting that depends on the whole update first
receives a sum over micro-batches and ranks, of a quantity that the class of the step defines.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.training.gradients.batch import Part, Rehearse, UpdateInfo
from mtlkit.training.gradients.gramian import gradients_at, gramian_of
from mtlkit.training.gradients.step import StepResult, TaskWeights, WeightingStep
from mtlkit.weightings.kinds import (
    BatchLossWeighting,
    LossWeighting,
    StepLosses,
    WeightedLoss,
    WholeBatch,
)


class LossStep(WeightingStep):
    """The step of a weighting whose scalar is a sum over samples: micro-batches are independent."""

    rehearses: ClassVar[bool] = False
    weighting: LossWeighting

    def run(self, part: Part, update: UpdateInfo, decision: TaskWeights | None) -> StepResult:
        with self.passes.autocast():
            losses, points = self.passes.losses(part, update)
        if decision is None:
            decision = self.decide_alone(losses, update)
        weighted = self.weigh(losses, decision)  # outside of autocast: in float32
        watched = update.watch and len(points) > 0
        gramian = (
            gramian_of(gradients_at(points, losses.mean, self.passes.scale)) if watched else None
        )
        return StepResult(
            weighted.total, losses.weighted.detach(), weighted.weights.detach(), gramian
        )

    def weigh(self, losses: StepLosses, decision: TaskWeights) -> WeightedLoss:
        """Return the scalar of a micro-batch of an update with this `decision`."""
        result: WeightedLoss = self.weighting(losses)
        return result

    def decide_alone(self, losses: StepLosses, update: UpdateInfo) -> TaskWeights:
        """Return the decision for an update of one micro-batch."""
        return TaskWeights()

    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        return TaskWeights()


class SummaryStep(LossStep):
    """The step of a `WholeBatch`: its summary of each micro-batch is summed first."""

    rehearses: ClassVar[bool] = True
    weighting: WholeBatch

    def weigh(self, losses: StepLosses, decision: TaskWeights) -> WeightedLoss:
        return super().weigh(attrs.evolve(losses, summary=decision.summary), decision)

    def decide_alone(self, losses: StepLosses, update: UpdateInfo) -> TaskWeights:
        return self.decide_by(self.ranks.sum(self.weighting.summarize(losses)), update)

    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        return self.decide_by(self.total(rehearse(0), self.weighting.summarize), update)

    def decide_by(self, summary: Tensor, update: UpdateInfo) -> TaskWeights:
        """Return the decision from the summary of the whole update."""
        return TaskWeights(summary)


class BatchLossStep(SummaryStep):
    """The step of a `BatchLossWeighting`: the summed mean losses give the weights."""

    weighting: BatchLossWeighting

    def weigh(self, losses: StepLosses, decision: TaskWeights) -> WeightedLoss:
        assert decision.weights is not None
        return WeightedLoss(decision.weights @ losses.mean, decision.weights)

    @torch.no_grad()
    def decide_by(self, summary: Tensor, update: UpdateInfo) -> TaskWeights:
        weights = self.weighting.weights(update.stats(summary))
        return TaskWeights(summary, update.scatter(weights))
