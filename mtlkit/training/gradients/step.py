"""The contract of training steps: from a micro-batch to one scalar, whose gradient is the update.

Because `forward` returns one scalar, DDP, autocast, accumulation and gradient clipping work as for
a single loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.model import MultiTaskModel
from mtlkit.routers.base import Features
from mtlkit.training.gradients.batch import MicroBatch, Rehearsal, Rehearse, UpdateInfo
from mtlkit.training.ranks import Ranks
from mtlkit.weightings.kinds import StepLosses, UpdateStats, WeightingModule

Autocast = Callable[[], AbstractContextManager[object]]
"""The context of forward passes."""


@attrs.frozen(eq=False)
class StepResult:
    """Result of a training step: the scalar to differentiate and detached values to log.

    `per_sample` (T, N) are the losses of each sample times their weights, and `weights` (T,) are
    those of the terms; `gramian` (T, T) is this micro-batch's part of the tasks' Gramian, if it was
    computed.
    """

    total: Tensor
    per_sample: Tensor
    weights: Tensor
    gramian: Tensor | None = None


@attrs.frozen(eq=False)
class TaskWeights:
    """The decision for a whole update, equal on every rank; unused fields are None.

    `summary` is the sum over the update that a weighting of losses requested. `weights` (T,) are
    those of the terms. `parts` are the parts of a direction, one per micro-batch of this rank.
    `gramian` (T, T) is logged, as are the `rehearsed` losses (T, N) of draws that are not
    differentiated.
    """

    summary: Tensor | None = None
    weights: Tensor | None = None
    parts: Sequence[Tensor] = ()
    gramian: Tensor | None = None
    rehearsed: Sequence[Tensor] = ()


class TrainingStep(nn.Module, ABC):
    """A model and a weighting, as the one module that is differentiated.

    The samples of an update are divided into `draws`, of which draw number `trained` is
    differentiated. If `rehearses`, an update of several micro-batches is decided from a rehearsal
    of all of them; an update of several draws always is. `after_step` is that of an `AfterStep`.
    """

    draws: ClassVar[int] = 1
    trained: ClassVar[int] = 0
    rehearses: ClassVar[bool] = True

    def __init__(
        self,
        model: MultiTaskModel,
        weighting: WeightingModule,
        ranks: Ranks,
        autocast: Autocast = nullcontext,
    ) -> None:
        super().__init__()
        self.model, self.weighting = model, weighting
        self.ranks, self.autocast = ranks, autocast
        self.after_step: Callable[[UpdateStats, Tensor], None] | None = None

    def forward(
        self, batch: MicroBatch, update: UpdateInfo, decision: TaskWeights | None = None
    ) -> StepResult:
        """Return the result for a micro-batch; without a `decision` it is this rank's only one.

        The scalar is scaled by the number of ranks, because DDP averages gradients and the losses
        of ranks are parts of a sum.
        """
        result = self.run(batch, update, decision)
        return attrs.evolve(result, total=result.total * self.ranks.world)

    def losses_at(self, features: Features, batch: MicroBatch, update: UpdateInfo) -> StepLosses:
        """Return the losses of a micro-batch at its `features`."""
        return self.model.losses_at(
            features, batch.targets, update.counts, batch.fraction, batch.weights
        )

    @abstractmethod
    def run(
        self, batch: MicroBatch, update: UpdateInfo, decision: TaskWeights | None
    ) -> StepResult:
        """Return the result of this rank's part of the losses."""

    @abstractmethod
    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        """Return the decision for an update, from rehearsals of its draws, by their number.

        `rate` is the learning rate of the shared parameters.
        """

    @torch.no_grad()
    def total(self, rehearsal: Rehearsal, statistic: Callable[[StepLosses], Tensor]) -> Tensor:
        """Return the sum of a `statistic` of the losses over all micro-batches and ranks."""
        parts = []
        for batch in rehearsal.batches:
            with self.autocast():
                features = self.model.features(batch.inputs)
                losses = self.losses_at(features, batch, rehearsal.update)
                parts.append(statistic(losses))
        return self.ranks.sum(torch.stack(parts).sum(dim=0))
