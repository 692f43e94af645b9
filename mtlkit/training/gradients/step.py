"""The contract of steps: from a part of an update to one scalar, whose gradient is the update.

Because `forward` returns one scalar, DDP, autocast, accumulation and gradient clipping work as for
a single loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.model import MultiTaskModel
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.batch import MicroBatch, Part, Rehearsal, Rehearse, UpdateInfo
from mtlkit.training.gradients.forward_pass import ForwardPass
from mtlkit.weightings.kinds import StepLosses, UpdateStats, WeightingModule


@attrs.frozen(eq=False)
class StepResult:
    """Result of a training step: the `total` to differentiate and detached values to log.

    `per_sample` (T, N) are the losses of each sample times their weights, and `weights` (T,) are
    those of the terms; `gramian` (T, T) is this part's fraction of the tasks' Gramian, if it was
    computed. `overflow` is true if the update is to be skipped: see `TaskWeights`.
    """

    total: Tensor
    per_sample: Tensor
    weights: Tensor
    gramian: Tensor | None = None
    overflow: bool = False

    @property
    def differentiated(self) -> Tensor:
        """The scalar to differentiate; after an overflow its gradients are NaN, for the scaler."""
        return self.total * torch.nan if self.overflow else self.total

    def detached(self) -> "StepResult":
        """Return the result without the graph of its scalar."""
        return attrs.evolve(self, total=self.total.detach())


@attrs.frozen(eq=False)
class TaskWeights:
    """The decision for a whole update, equal on every rank; unused fields are None.

    `summary` is the sum over the update that a weighting of losses requested. `weights` (T,) are
    those of the terms, and `heads` (T,) those of the heads' losses if they differ. `parts` are the
    parts of a direction, one per micro-batch of this rank. `gramian` (T, T) is logged, as are the
    `rehearsed` losses (T, N) of draws that are not differentiated. `overflow` is true if the tasks'
    gradients exceed the range of float16: the weighting has not seen them, and the weights are 0.
    """

    summary: Tensor | None = None
    weights: Tensor | None = None
    heads: Tensor | None = None
    parts: Sequence[Tensor] = ()
    gramian: Tensor | None = None
    rehearsed: Sequence[Tensor] = ()
    overflow: bool = False


class WeightingStep(ABC):
    """A weighting of one kind, applied to the parts of an update that `passes` computes.

    The samples of an update are divided into `draws`, of which draw number `trained` is
    differentiated. If `rehearses`, an update of several parts is decided from a rehearsal of all
    of them; an update of several draws always is. `reads_gradients` and `reads_rate` are true if it
    needs task gradients, and the learning rate. `after_step` is that of an `AfterStep`.
    """

    draws: ClassVar[int] = 1
    trained: ClassVar[int] = 0
    rehearses: ClassVar[bool] = True
    reads_gradients: ClassVar[bool] = False
    reads_rate: ClassVar[bool] = False

    def __init__(self, passes: ForwardPass[Any], weighting: WeightingModule, ranks: Ranks) -> None:
        self.passes, self.weighting, self.ranks = passes, weighting, ranks
        self.after_step: Callable[[UpdateStats, Tensor], None] | None = None

    def __call__(
        self, part: Part, update: UpdateInfo, decision: TaskWeights | None = None
    ) -> StepResult:
        """Return the result for a part; without a `decision` it is this rank's only one.

        The scalar is scaled by the number of ranks, because DDP averages gradients and the losses
        of ranks are parts of a sum.
        """
        result = self.run(part, update, decision)
        world = self.ranks.world
        return result if world == 1 else attrs.evolve(result, total=result.total * world)

    @abstractmethod
    def run(self, part: Part, update: UpdateInfo, decision: TaskWeights | None) -> StepResult:
        """Return the result of this rank's part of the losses."""

    @abstractmethod
    def decide(self, rehearse: Rehearse, update: UpdateInfo, rate: float) -> TaskWeights:
        """Return the decision for an update, from rehearsals of its draws, by their number.

        `rate` is the learning rate of the shared parameters.
        """

    @torch.no_grad()
    def total(self, rehearsal: Rehearsal, statistic: Callable[[StepLosses], Tensor]) -> Tensor:
        """Return the sum of a `statistic` of the losses over all parts and ranks."""
        totals = []
        for part in rehearsal.parts:
            with self.passes.autocast():
                losses, _ = self.passes.losses(part, rehearsal.update)
                totals.append(statistic(losses))
        return self.ranks.sum(torch.stack(totals).sum(dim=0))

    def learn(
        self, update: UpdateInfo, results: Sequence[StepResult], again: Callable[[], Rehearsal]
    ) -> None:
        """Pass the losses before and after an update to a weighting that learns from them.

        `again` runs the same samples with the updated parameters.
        """
        if self.after_step is None:
            return
        sums = torch.stack([result.per_sample.sum(dim=1) for result in results]).sum(dim=0)
        before = self.ranks.sum(sums / update.counts.clamp(min=1))
        after = self.total(again(), lambda losses: losses.mean)
        self.after_step(update.stats(before), update.present(after))


class TrainingStep(nn.Module):
    """A model and its weighting as the one module that is differentiated, by a `WeightingStep`."""

    def __init__(
        self, model: MultiTaskModel, weighting: WeightingModule, step: WeightingStep
    ) -> None:
        super().__init__()
        self.model, self.weighting, self.step = model, weighting, step

    def forward(
        self, batch: MicroBatch, update: UpdateInfo, decision: TaskWeights | None = None
    ) -> StepResult:
        """Return the result for a micro-batch; without a `decision` it is this rank's only one."""
        return self.step(batch, update, decision)
