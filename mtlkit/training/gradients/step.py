"""One training step: from a batch to one scalar, whose gradient is the update.

Which statistic of the losses a weighting sees is decided here, once, by its type. One scalar comes
out of `forward`, so that DDP, autocast, accumulation and gradient clipping work as for a single
loss.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

import attrs
import torch
from torch import Tensor, nn

from mtlkit.model import MultiTaskModel
from mtlkit.training.gradients.features import (
    DetachedFeatures,
    carried,
    cut,
    ends_of,
    gradients_at,
    gramian_of,
)
from mtlkit.training.gradients.sources import (
    AtParameters,
    GradientSource,
    carry_into_trunk,
    provider_for,
    shared_parameters,
)
from mtlkit.training.gradients.task_weights import (
    MicroBatchStats,
    TaskWeights,
    UpdateInfo,
    decide_by_gradients,
    decide_by_losses,
)
from mtlkit.training.ranks import Ranks
from mtlkit.weightings.base import GradientWeighting, HeadGradients, Weighting
from mtlkit.weightings.kinds import (
    GramianWeighting,
    JacobianWeighting,
    LossWeighting,
    StatefulJacobian,
    StepLosses,
    WeightingModule,
    WholeBatch,
)

AnyWeighting = LossWeighting | GramianWeighting | JacobianWeighting
OfGradients = GramianWeighting | JacobianWeighting


@attrs.frozen(eq=False)
class StepResult:
    """What a step gives: the scalar to differentiate, and what to log, detached.

    `per_sample` (T, N) are the losses of each sample and `weights` (T,) those of the terms;
    `gramian` (T, T) is this micro-batch's part of the tasks' Gramian, where it was looked at.
    """

    total: Tensor
    per_sample: Tensor
    weights: Tensor
    gramian: Tensor | None = None


class TrainingStep(nn.Module):
    """A model and a weighting, as the one module that is differentiated.

    The scalar is scaled by the number of ranks, because DDP takes the mean of their gradients and
    the losses are parts of a sum. A weighting of gradients sees the network cut at the features:
    one pass through the heads gives every task's gradient there, and with it those of the heads,
    where they are unweighted (`config.heads`); what is weighed goes on into the trunk.

    Raises `TypeError` where `config` and the `weighting` it built are of different kinds, and
    `AssemblyError` where there are no gradients to be had at the place that `config.at` names.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        weighting: WeightingModule,
        ranks: Ranks,
        config: Weighting,
    ) -> None:
        super().__init__()
        self.model = model
        self.weighting = checked_kind(weighting, config)
        self.ranks = ranks
        self.provider: GradientSource | None = None
        self.weighted_heads = False
        before = {id(p) for p in shared_parameters(model.router)}
        self._behind = [p for p in model.parameters() if id(p) not in before]
        if isinstance(config, GradientWeighting):
            self.provider = provider_for(config.at, model.router, ranks)
            self.weighted_heads = config.heads is HeadGradients.WEIGHTED
        if isinstance(weighting, StatefulJacobian):
            assert isinstance(self.provider, AtParameters)  # else the recipe was refused
            weighting.allocate(self.provider.elements)

    @property
    def looks_first(self) -> bool:
        """Whether every part of an update must be seen before any is differentiated."""
        return not isinstance(self.weighting, LossWeighting) or isinstance(
            self.weighting, WholeBatch
        )

    def forward(
        self,
        inputs: Tensor,
        targets: Mapping[str, Tensor],
        whole: UpdateInfo,
        share: float = 1.0,
        decision: TaskWeights | None = None,
        part: int = 0,
    ) -> StepResult:
        """The result for raw inputs (N, ...) against targets (N,) of each task.

        `whole` and `share` relate the batch to the update it is a part of; without a `decision`
        the batch is all that this rank has of it, and with one it is micro-batch number `part`.
        """
        weighting: AnyWeighting = self.weighting
        match weighting:
            case LossWeighting():
                found = self._by_losses(weighting, inputs, targets, whole, share, decision)
            case GramianWeighting() | JacobianWeighting():
                found = self._by_gradients(weighting, inputs, targets, whole, share, decision, part)
            case _:
                assert_never(weighting)
        return attrs.evolve(found, total=found.total * self.ranks.world)

    def observe(
        self, inputs: Tensor, targets: Mapping[str, Tensor], whole: UpdateInfo, share: float
    ) -> MicroBatchStats:
        """What a micro-batch tells before the decision; nothing is kept for differentiation."""
        keeps_trunk = isinstance(self.provider, AtParameters)
        with torch.set_grad_enabled(keeps_trunk):
            features = self.model.features(inputs)
        weighting: AnyWeighting = self.weighting
        if isinstance(weighting, LossWeighting):
            with torch.no_grad():
                losses = self.model.losses_at(features, targets, whole.counts, share)
                return _summary(weighting, losses)
        assert self.provider is not None
        at = cut(features, self.model.tasks)
        losses = self._losses_of(at, targets, whole, share)
        own, _ = at.jacobian(losses.mean, self.model.tasks)
        return _observed(losses, rows=self.provider.rows(at, own))

    def decide(self, seen: Sequence[MicroBatchStats], whole: UpdateInfo) -> TaskWeights:
        """What the update does, from all that this rank's micro-batches told."""
        weighting: AnyWeighting = self.weighting
        if isinstance(weighting, LossWeighting):
            return decide_by_losses(weighting, seen, whole, self.ranks)
        assert self.provider is not None
        return decide_by_gradients(weighting, seen, whole, self.ranks, self.provider)

    def _by_losses(
        self,
        weighting: LossWeighting,
        inputs: Tensor,
        targets: Mapping[str, Tensor],
        whole: UpdateInfo,
        share: float,
        decision: TaskWeights | None,
    ) -> StepResult:
        features = self.model.features(inputs)
        losses = self.model.losses_at(features, targets, whole.counts, share)
        if decision is None:
            decision = decide_by_losses(weighting, [_summary(weighting, losses)], whole, self.ranks)
        weighted = weighting(
            attrs.evolve(losses, summary=decision.summary, decided=decision.weights)
        )
        gramian = None
        ends = [end for end in ends_of(features) if end.requires_grad]
        if whole.watch and ends:
            gramian = gramian_of(gradients_at(ends, losses.mean))
        return StepResult(
            weighted.total, losses.per_sample.detach(), weighted.weights.detach(), gramian
        )

    def _by_gradients(
        self,
        weighting: OfGradients,
        inputs: Tensor,
        targets: Mapping[str, Tensor],
        whole: UpdateInfo,
        share: float,
        decision: TaskWeights | None,
        part: int,
    ) -> StepResult:
        assert self.provider is not None
        at = cut(self.model.features(inputs), self.model.tasks)
        losses = self._losses_of(at, targets, whole, share)
        # products of gradients in bf16 would say that nearly parallel ones are parallel
        with torch.autocast(inputs.device.type, enabled=False):
            return self._weighed(weighting, at, losses, whole, decision, part)

    def _weighed(
        self,
        weighting: OfGradients,
        at: DetachedFeatures,
        losses: StepLosses,
        whole: UpdateInfo,
        decision: TaskWeights | None,
        part: int,
    ) -> StepResult:
        """The result for losses behind the cut, once what the update does is decided."""
        assert self.provider is not None
        mean = losses.mean
        beside = [] if self.weighted_heads else [p for p in self._behind if p.requires_grad]
        own, gradients = at.jacobian(mean, self.model.tasks, beside)
        if decision is None:
            if isinstance(weighting, JacobianWeighting):
                seen = _observed(losses, rows=self.provider.rows(at, own))
            else:
                seen = _observed(losses, gramian=self.provider.gramian_at(at, own))
            decision = self.decide([seen], whole)
        weights = decision.weights
        assert weights is not None
        if decision.parts:
            trunk = self.provider.carry(at, decision.parts[part])
        else:
            trunk = carry_into_trunk(at, weights @ own)
        weighted = (weights * mean).sum()
        # what is carried has a gradient and no value, so a weight that is not finite would not show
        heads = weighted if self.weighted_heads else _carry(beside, gradients) + weighted.detach()
        gramian = None if decision.gramian is None else decision.gramian * losses.share
        return StepResult(trunk + heads, losses.per_sample.detach(), weights, gramian)

    def _losses_of(
        self, at: DetachedFeatures, targets: Mapping[str, Tensor], whole: UpdateInfo, share: float
    ) -> StepLosses:
        counts, branches = whole.counts, at.branch_features
        return self.model.losses_at(at.features, targets, counts, share, branches)


def _carry(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """A scalar with these gradients at the `parameters`; one without a gradient is left out."""
    pairs = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
    return carried([p for p, _ in pairs], [g for _, g in pairs])


def _summary(weighting: LossWeighting, losses: StepLosses) -> MicroBatchStats:
    """What a weighting of losses wants to know of the whole update, from one part of it."""
    if isinstance(weighting, WholeBatch):
        asked: WholeBatch = weighting
        return MicroBatchStats(losses.per_sample.detach(), asked.summarise(losses))
    return _observed(losses)


def _observed(
    losses: StepLosses, rows: Tensor | None = None, gramian: Tensor | None = None
) -> MicroBatchStats:
    """What the mean losses of a micro-batch and their gradients are."""
    return MicroBatchStats(losses.per_sample.detach(), losses.mean.detach(), rows, gramian)


def checked_kind(weighting: WeightingModule, config: Weighting) -> AnyWeighting:
    """The weighting itself, when it is of a kind, and of that of its `config`; else `TypeError`."""
    if not isinstance(weighting, LossWeighting | GramianWeighting | JacobianWeighting):
        raise TypeError(
            f"{type(weighting).__name__} is of no kind of weighting; expected a subclass of "
            f"LossWeighting, GramianWeighting or JacobianWeighting"
        )
    of_gradients = isinstance(weighting, GramianWeighting | JacobianWeighting)
    if of_gradients != isinstance(config, GradientWeighting):
        expected = "GradientWeighting" if of_gradients else "Weighting"
        raise TypeError(
            f"{type(config).__name__} builds {type(weighting).__name__}; its options must derive "
            f"from {expected}, so that a recipe says where gradients are taken only where they are"
        )
    return weighting
