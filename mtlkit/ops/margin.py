"""The cross-entropy of cosines with a margin for the target: ArcFace, CosFace, both, AdaFace."""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request, serves_all
from mtlkit.ops.kernels import margin_costs
from mtlkit.ops.kernels.arguments import (
    check_devices,
    check_label_type,
    check_labels,
    check_matrix,
    check_positive,
    check_reduction,
    check_vector,
    check_weight,
    has_tangent,
    same_type,
    wants_gradient,
    without_autocast,
)
from mtlkit.ops.kernels.chunked import rivals_by_classes
from mtlkit.ops.kernels.costs import refuses_forward_mode
from mtlkit.ops.kernels.saved_softmax import rivals_stored
from mtlkit.ops.kernels.tiles import EPSILON, accumulator
from mtlkit.ops.triton.linear import rivals_by_triton
from mtlkit.ops.triton.saved import rivals_of_logits
from mtlkit.ops.triton.support import refuses as triton_refuses

NAME = "margin_cross_entropy"

Margin = float | Tensor


class Call(NamedTuple):
    """The arguments, checked; `x` are unit vectors times the scale."""

    x: Tensor
    weight: Tensor
    target: Tensor
    ignore_index: int
    scale: float
    multiplier: float
    angle: Margin
    additive: Margin
    easy: bool
    gradient: bool

    @property
    def valid(self) -> Tensor:
        """Which rows have a target (N,)."""
        return self.target != self.ignore_index

    def known_target(self) -> Tensor:
        """The targets (N,), class 0 where there is none."""
        return self.target.masked_fill(~self.valid, 0)

    def with_margin(self, cosine: Tensor) -> Tensor:
        """The target's logit (N,) after the margin, from the cosine before it."""
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
    implementation: str | None = None,
) -> Tensor:
    """Cross-entropy of `scale` times the cosines of x and W, the target's lowered by a margin.

    Shapes: x (N, D), `weight` (C, D), `target` (N,) in int64. The target's cosine, cos t, becomes
    cos(`multiplier` t + `angle`) - `additive`: ArcFace (Deng et al. 2019) has an angle of 0.5,
    CosFace (Wang et al. 2018) an additive margin of 0.35 and no angle, and the combined form both;
    either may be one number or one for each row (N,), as `adaface_margins` gives. Where t + angle
    would exceed pi the logit goes on as cos t - angle sin(angle), which keeps it falling (not with
    a multiplier); with `easy_margin` there is no margin for t > pi/2. Lengths and margins are in
    float32, and so is the loss. A mean is over the rows that have a target.

    >>> same, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> weight = torch.cat([same, other])
    >>> loss = margin_cross_entropy(3 * same, weight, torch.tensor([0]), scale=1.0)
    >>> round(loss.item(), 4)  # ln(1 + exp(-cos 0.5))
    0.3477
    """
    check_matrix(NAME, "x", x)
    check_weight(NAME, "weight", weight, x)
    check_label_type(NAME, "target", target, len(x))
    check_devices(NAME, x, weight=weight, target=target, angle=angle, additive=additive)
    check_positive(NAME, "scale", scale)
    check_positive(NAME, "multiplier", multiplier)
    check_labels(NAME, "target", target, len(weight), ignore_index)
    check_reduction(NAME, reduction)
    for name, margin in (("angle", angle), ("additive", additive)):
        if isinstance(margin, Tensor):
            check_vector(NAME, name, margin, len(x))
    if isinstance(angle, Tensor) and multiplier != 1:
        raise ValueError(f"{NAME}: multiplier: expected 1 with an angle for each row")
    own_x, own_weight = same_type(NAME, x, weight)
    assert own_x is not None
    assert own_weight is not None
    request = Request(
        len(x), x.shape[1], len(weight), own_x.dtype, x.device.type, wants_gradient(x, weight),
        reduction, 1, ("forward_mode",) if has_tangent(x, weight) else (),
    )  # fmt: skip
    chosen = choose(MARGIN_CROSS_ENTROPY, request, implementation)
    with without_autocast(x):
        wide = x.to(accumulator(x.dtype))
        unit = F.normalize(wide, eps=EPSILON) * scale
        call = Call(
            unit.to(own_x.dtype), own_weight, target, ignore_index, scale, multiplier, angle,
            additive, easy_margin, request.gradient,
        )  # fmt: skip
        losses: Tensor = torch.where(call.valid, chosen.run(call), 0.0)
        if reduction == "none":
            return losses
        return losses.sum() if reduction == "sum" else losses.sum() / call.valid.sum()


def margin_of(
    cosine: Tensor, multiplier: float, angle: Margin, additive: Margin, easy: bool
) -> Tensor:
    """cos(multiplier t + angle) - additive for cos t, continued where the angle leaves [0, pi].

    The sine is kept from 0, where the derivative of the square root is infinite.
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
    """A number's stay numbers: sent to a GPU, they would wait for it."""
    if isinstance(angle, Tensor):
        return angle.cos(), angle.sin()
    return math.cos(angle), math.sin(angle)


def adaface_margins(
    lengths: Tensor,
    mean: Margin,
    deviation: Margin,
    margin: float = 0.4,
    spread: float = 0.333,
) -> tuple[Tensor, Tensor]:
    """AdaFace's angle and additive margin (N,) from the lengths (N,) of the features.

    Kim et al. (CVPR 2022), eq. 12 and 13: with z the length in units of `deviation` /
    `spread` from the `mean`, kept in [-1, 1], the angle is -margin z and the additive margin
    margin (z + 1). Mean and deviation are running ones over batches, which the caller keeps. No
    gradient passes through the lengths.

    >>> angle, additive = adaface_margins(torch.tensor([20.0, 90.0]), 20.0, 5.0)
    >>> angle.tolist(), additive.tolist()
    ([-0.0, -0.4000000059604645], [0.4000000059604645, 0.800000011920929])
    """
    quality = ((lengths.detach() - mean) / (deviation + 1e-3) * spread).clamp(-1, 1)
    return -margin * quality, margin * (quality + 1)


def by_definition(call: Call) -> Tensor:
    """The losses (N,) by way of the matrix of cosines."""
    wide = accumulator(call.x.dtype)
    unit = F.normalize(call.weight.to(wide), eps=EPSILON).to(call.x.dtype)
    logits = F.linear(call.x, unit).to(wide)
    known = call.known_target().unsqueeze(1)
    cosine = (logits.gather(1, known).squeeze(1) / call.scale).clamp(-1, 1)
    logits = logits.scatter(1, known, call.with_margin(cosine).unsqueeze(1))
    return F.cross_entropy(logits, known.squeeze(1), reduction="none")


@cache
def _compiled_definition() -> Callable[[Call], Tensor]:
    return torch.compile(by_definition)


def _compiled(call: Call) -> Tensor:
    found: Tensor = _compiled_definition()(call)
    return found


def _by_rivals(rivals: Callable[[Call], tuple[Tensor, Tensor]], call: Call) -> Tensor:
    """The losses (N,): a margin changes the target's logit alone, its rivals are as they were."""
    target_logit, others = rivals(call)
    cosine = (target_logit / call.scale).clamp(-1, 1)
    return -F.logsigmoid(call.with_margin(cosine) - others)


def _classes(call: Call) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = rivals_by_classes(
        call.x.contiguous(), call.weight.contiguous(), None, call.known_target(), True
    )
    return found


def _stored(call: Call) -> tuple[Tensor, Tensor]:
    if not call.gradient:
        return _classes(call)
    found: tuple[Tensor, Tensor] = rivals_stored(
        call.x.contiguous(), call.weight.contiguous(), None, call.known_target(), True
    )[:2]
    return found


def _triton_logits(call: Call) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = rivals_of_logits(
        call.x.contiguous(), call.weight.contiguous(), None, call.known_target(), True
    )[:2]
    return found


def _triton(call: Call) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = rivals_by_triton(
        call.x.contiguous(), call.weight.contiguous(), None, call.known_target(), True
    )
    return found


MARGIN_CROSS_ENTROPY = Op(
    NAME,
    "the cross-entropy of cosines with a margin for the target",
    Implementation(
        "eager", "the definition: cosines, then cross-entropy", by_definition, serves_all,
        margin_costs.eager,
    ),
    Implementation(
        "compiled", "the definition by torch.compile", _compiled, refuses_forward_mode,
        margin_costs.compiled, automatic=False,
    ),
    Implementation(
        "stored", "keeps one matrix of exponentials", partial(_by_rivals, _stored),
        refuses_forward_mode, margin_costs.stored,
    ),
    Implementation(
        "classes", "a tile of classes at a time, computed again for the backward pass",
        partial(_by_rivals, _classes), refuses_forward_mode,
        margin_costs.classes,
    ),
    Implementation(
        "triton-logits", "logits of the inputs' type, by unit rows a tile of classes at a time",
        partial(_by_rivals, _triton_logits), triton_refuses, margin_costs.triton_logits,
    ),
    Implementation(
        "triton", "no logits, tiles computed again for the backward pass",
        partial(_by_rivals, _triton), triton_refuses, margin_costs.triton,
    ),
)  # fmt: skip
