"""The training step of a weighting: the only place that tests which kind a weighting is."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

from mtlkit.model import MultiTaskModel
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.forward_pass import Autocast, ForwardPass, ModelPass
from mtlkit.training.gradients.gradient_step import (
    DoubleSamplingStep,
    GradientStep,
    GramianStep,
    JacobianStep,
    LookaheadStep,
)
from mtlkit.training.gradients.loss_step import BatchLossStep, LossStep, SummaryStep
from mtlkit.training.gradients.sources import GradientSource, gradient_source
from mtlkit.training.gradients.step import TrainingStep, WeightingStep
from mtlkit.weightings.base import GradientWeighting, Weighting
from mtlkit.weightings.kinds import (
    AfterStep,
    BatchLossWeighting,
    DoubleSampling,
    GramianWeighting,
    JacobianWeighting,
    LookaheadWeighting,
    LossWeighting,
    ReadsFeatures,
    StatefulJacobian,
    WeightingModule,
    WeightsHeads,
    WholeBatch,
)

S = TypeVar("S")
_OF_GRADIENTS = (GramianWeighting, JacobianWeighting)

LOSS_STEPS: Mapping[Any, type[LossStep]] = {
    BatchLossWeighting: BatchLossStep,
    WholeBatch: SummaryStep,
    LossWeighting: LossStep,
}
"""The step of each kind of weighting of losses; the first kind that matches is used."""

GRADIENT_STEPS: Mapping[Any, type[GradientStep]] = {
    LookaheadWeighting: LookaheadStep,
    DoubleSampling: DoubleSamplingStep,
    GramianWeighting: GramianStep,
    JacobianWeighting: JacobianStep,
}
"""The step of each kind of weighting of gradients; the first kind that matches is used."""


def training_step(
    model: MultiTaskModel,
    weighting: WeightingModule,
    config: Weighting,
    ranks: Ranks | None = None,
    autocast: Autocast = nullcontext,
) -> TrainingStep:
    """Return the step of `model` under the `weighting` that `config` built.

    Raises `TypeError` if the two are of different kinds, and `AssemblyError` if no parameter is
    trained at the location that `config.at` names.
    """
    ranks = ranks or Ranks()
    require_one_kind(weighting, config)
    source = None
    if isinstance(config, GradientWeighting):
        source = gradient_source(config.at, model.router, ranks)
        if source.parameters:
            allocate(weighting, sum(p.numel() for p in source.parameters))
    step = weighting_step(ModelPass(model, autocast), weighting, config, ranks, source)
    return TrainingStep(model, weighting, step)


def weighting_step(
    passes: ForwardPass[Any],
    weighting: WeightingModule,
    config: Weighting,
    ranks: Ranks,
    source: GradientSource | None,
) -> WeightingStep:
    """Return the step of the kind of `weighting`; `source` is needed if it reads gradients."""
    step: WeightingStep
    if isinstance(config, GradientWeighting):
        assert isinstance(weighting, _OF_GRADIENTS)
        assert source is not None
        kind = _first(GRADIENT_STEPS, weighting)
        step = kind(passes, weighting, ranks, config.heads, source)
        step.reads_features = isinstance(weighting, ReadsFeatures)
        if step.weights_heads and isinstance(weighting, WeightsHeads):
            step.weights_of_heads = weighting.head_weights
    else:
        step = _first(LOSS_STEPS, weighting)(passes, weighting, ranks)
    if isinstance(weighting, AfterStep):
        step.after_step = weighting.after_step
    return step


def allocate(weighting: WeightingModule, elements: int) -> bool:
    """Allocate the state of a `StatefulJacobian` for `elements` parameters; False for others."""
    if isinstance(weighting, StatefulJacobian):
        weighting.allocate(elements)
        return True
    return False


def gradient_options(config: Weighting) -> GradientWeighting | None:
    """Return `config` if it is that of a weighting of gradients."""
    return config if isinstance(config, GradientWeighting) else None


def require_one_kind(weighting: WeightingModule, config: Weighting) -> None:
    """Raise `TypeError` unless both are of losses, or both of gradients."""
    of_gradients, name = isinstance(weighting, _OF_GRADIENTS), type(weighting).__name__
    if not (of_gradients or isinstance(weighting, LossWeighting)):
        raise TypeError(
            f"{name} must subclass LossWeighting, GramianWeighting or JacobianWeighting"
        )
    if of_gradients != isinstance(config, GradientWeighting):
        expected = "GradientWeighting" if of_gradients else "Weighting"
        raise TypeError(
            f"{type(config).__name__} builds {name}; its options must derive from {expected}, so "
            f"that a recipe states where gradients are taken only if they are"
        )


def _first(steps: Mapping[Any, type[S]], weighting: WeightingModule) -> type[S]:
    return next(step for kind, step in steps.items() if isinstance(weighting, kind))
