"""The cross-entropy of cosines with a margin for the target: ArcFace, CosFace, both, AdaFace."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops import by_negatives
from mtlkit.ops.by_negatives import Negatives
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op
from mtlkit.ops.dispatch.timing import linear_timings
from mtlkit.ops.dispatch.trial import CLASSES, FEATURES, Trial, TrialInputs
from mtlkit.ops.kernels import arguments
from mtlkit.ops.kernels.tiles import EPSILON, Logits, accumulator

NAME = "margin_cross_entropy"

Margin = float | Tensor


class MarginCall(NamedTuple):
    """Checked arguments; the rows of `x` are unit vectors times the scale.

    `target` (N,) holds class 0 where one is missing.
    """

    x: Tensor
    weight: Tensor
    target: Tensor
    scale: float
    multiplier: float
    angle: Margin
    additive: Margin
    easy: bool
    gradient: bool

    def with_margin(self, cosine: Tensor) -> Tensor:
        """Return the target's logit (N,) after the margin, from the cosine before it."""
        return self.scale * margin_of(cosine, self.multiplier, self.angle, self.additive, self.easy)


def margin_cross_entropy(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    scale: float = 64.0,
    multiplier: float = 1.0,
    angle: Margin = 0.5,
    additive: Margin = 0.0,
    easy_margin: bool = False,
    ignore_index: int = -100,
    reduction: str = "mean",
    implementation: str | Implementation | None = None,
) -> Tensor:
    """Cross-entropy of `scale` times the cosines of x and W, the target's lowered by a margin.

    Shapes: x (N, D), `weight` (C, D), `target` (N,) in int64. The target's cosine, cos t, becomes
    cos(`multiplier` t + `angle`) - `additive`: ArcFace (Deng et al. 2019) has an angle of 0.5,
    CosFace (Wang et al. 2018) an additive margin of 0.35 and no angle, and the combined form both;
    either may be one number or one for each row (N,), as `adaface_margins` returns. If t + angle
    would exceed pi, the logit continues as cos t - angle sin(angle), which keeps it falling (not
    with a multiplier); with `easy_margin` the margin applies only for t < pi/2. Norms, margins and
    the loss are in float32. A mean is over the rows that have a target.

    >>> same, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> weight = torch.cat([same, other])
    >>> loss = margin_cross_entropy(3 * same, weight, torch.tensor([0]), scale=1.0)
    >>> round(loss.item(), 4)  # ln(1 + exp(-cos 0.5))
    0.3477
    """
    arguments.check_classes(NAME, x, weight, target, ignore_index)
    arguments.check_devices(NAME, x, angle=angle, additive=additive)
    arguments.check_positive(NAME, "scale", scale)
    arguments.check_positive(NAME, "multiplier", multiplier)
    arguments.check_options(NAME, reduction)
    for name, margin in (("angle", angle), ("additive", additive)):
        if isinstance(margin, Tensor):
            arguments.check_vector(NAME, name, margin, len(x))
    if isinstance(angle, Tensor) and multiplier != 1:
        raise ValueError(f"{NAME}: multiplier: expected 1 with an angle for each row")
    cast_x, cast_weight = arguments.same_type(NAME, x, weight)
    request = arguments.request_of(cast_x, len(weight), (x, weight), reduction)
    chosen = choose(MARGIN_CROSS_ENTROPY, request, implementation)
    valid = target != ignore_index
    with arguments.without_autocast(x):
        wide = x.to(accumulator(x.dtype))
        unit = F.normalize(wide, eps=EPSILON) * scale
        call = MarginCall(
            unit.to(cast_x.dtype), cast_weight, target.masked_fill(~valid, 0), scale, multiplier,
            angle, additive, easy_margin, request.gradient,
        )  # fmt: skip
        losses: Tensor = torch.where(valid, chosen.run(call), 0.0)
        if reduction == "none":
            return losses
        return losses.sum() if reduction == "sum" else losses.sum() / valid.sum()


def margin_of(
    cosine: Tensor, multiplier: float, angle: Margin, additive: Margin, easy: bool
) -> Tensor:
    """Return cos(multiplier t + angle) - additive, continued if the angle leaves [0, pi].

    The sine is kept away from 0, where the derivative of the square root is infinite.
    """
    if multiplier != 1:
        inside = cosine.clamp(-1 + 1e-7, 1 - 1e-7)
        moved = torch.cos(multiplier * inside.acos() + angle)
    else:
        cos, sin = _cos_sin(angle)
        moved = cosine * cos - (1 - cosine.square()).clamp_min(1e-12).sqrt() * sin
        beyond = cosine - angle * sin
        if isinstance(angle, Tensor):
            back = angle < 0
            inside = torch.where(back, cosine < cos, cosine > -cos)
            beyond = torch.where(back, 1.0, beyond)
        elif angle < 0:
            inside, beyond = cosine < cos, torch.ones_like(cosine)
        else:
            inside = cosine > -cos
        moved = torch.where(inside, moved, beyond)
    if easy:
        moved = torch.where(cosine > 0, moved, cosine)
    return moved - additive


def _cos_sin(angle: Margin) -> tuple[Margin, Margin]:
    """Return cosine and sine; those of a float stay floats, as a tensor would force a sync."""
    if isinstance(angle, Tensor):
        return angle.cos(), angle.sin()
    return math.cos(angle), math.sin(angle)


def adaface_margins(
    norms: Tensor, mean: Margin, std: Margin, margin: float = 0.4, spread: float = 0.333
) -> tuple[Tensor, Tensor]:
    """AdaFace's angle and additive margin (N,) from the norms (N,) of the features.

    Kim et al. (CVPR 2022), eq. 12 and 13: with z the norm in units of `std` /
    `spread` from the `mean`, kept in [-1, 1], the angle is -margin z and the additive margin
    margin (z + 1). Mean and std are running ones over batches, which the caller keeps. No
    gradient passes through the norms.

    >>> angle, additive = adaface_margins(torch.tensor([20.0, 90.0]), 20.0, 5.0)
    >>> angle.tolist(), additive.tolist()
    ([-0.0, -0.4000000059604645], [0.4000000059604645, 0.800000011920929])
    """
    quality = ((norms.detach() - mean) / (std + 1e-3) * spread).clamp(-1, 1)
    return -margin * quality, margin * (quality + 1)


def reference(call: MarginCall) -> Tensor:
    """Compute the losses (N,) from the matrix of cosines."""
    wide = accumulator(call.x.dtype)
    unit = F.normalize(call.weight.to(wide), eps=EPSILON).to(call.x.dtype)
    logits = F.linear(call.x, unit).to(wide)
    known = call.target.unsqueeze(1)
    cosine = (logits.gather(1, known).squeeze(1) / call.scale).clamp(-1, 1)
    logits = logits.scatter(1, known, call.with_margin(cosine).unsqueeze(1))
    return F.cross_entropy(logits, call.target, reduction="none")


def _by_negatives(negatives: Negatives, call: MarginCall) -> Tensor:
    """Compute the losses (N,): a margin changes the target's logit alone."""
    logits = Logits(call.x, call.weight, None, call.target, cosine=True)
    target_logit, negative_lse = negatives(logits, call.gradient)
    cosine = (target_logit / call.scale).clamp(-1, 1)
    return -F.logsigmoid(call.with_margin(cosine) - negative_lse)


def margin_trials(
    function: Callable[..., Tensor], rows: int, generator: torch.Generator
) -> Mapping[str, Trial]:
    """Return a call of `function` for the margins of ArcFace, CosFace and both, and reductions."""
    draw = TrialInputs(rows, generator)
    inputs, target = (draw.features(), draw.normal(CLASSES + rows, FEATURES)), draw.labels(3)

    def call(options: Mapping[str, Any], name: str, x: Tensor, weight: Tensor) -> Tensor:
        return function(x, weight, target, scale=8.0, implementation=name, **options)

    kinds: Mapping[str, Mapping[str, Any]] = {
        "none": {"reduction": "none"},
        "sum": {"reduction": "sum"},
        "additive": {"reduction": "none", "angle": 0.0, "additive": 0.35},
        "easy": {"reduction": "none", "easy_margin": True},
        "multiplied": {"reduction": "none", "multiplier": 1.2},
    }
    return {
        name: Trial(inputs, partial(call, options), target == -100)
        for name, options in kinds.items()
    }


MARGIN_CROSS_ENTROPY = Op(
    NAME,
    margin_cross_entropy,
    *by_negatives.cosine_implementations(reference, "cross-entropy", _by_negatives),
    trials=partial(margin_trials, margin_cross_entropy),
    timings=partial(linear_timings, margin_cross_entropy),
)
