"""The two numbers of a margin cross-entropy apart, so that they can be combined over processes."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops import by_negatives
from mtlkit.ops.by_negatives import Negatives
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op
from mtlkit.ops.dispatch.trial import CLASSES, FEATURES, Trial, TrialInputs
from mtlkit.ops.kernels import arguments
from mtlkit.ops.kernels.tiles import EPSILON, Logits, accumulator

NAME = "cosine_negatives"


class CosineNegatives(NamedTuple):
    """The logit of each row's target (N,) and the log-sum-exp of its other logits (N,)."""

    target_logit: Tensor
    negative_lse: Tensor


class _Call(NamedTuple):
    x: Tensor
    weight: Tensor
    target: Tensor
    gradient: bool


def cosine_negatives(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    scale: float = 64.0,
    ignore_index: int = -100,
    implementation: str | Implementation | None = None,
) -> CosineNegatives:
    """The two numbers a row by which a margin cross-entropy depends on `scale` times the cosines.

    Shapes: x (N, D), `weight` (C, D), `target` (N,) in int64. If W holds some of the classes only,
    a row whose target is elsewhere has the target `ignore_index`: all logits are then its
    negatives, and its target's logit is 0. With the log-sum-exp r over all parts of W, the loss is
    softplus(r - m(z)) for the target's logit z and a margin m (`margin_cross_entropy`).

    >>> x, weight = torch.tensor([[2.0, 0.0]]), torch.eye(2)
    >>> cosine_negatives(x, weight, torch.tensor([0]), scale=1.0)
    CosineNegatives(target_logit=tensor([1.]), negative_lse=tensor([0.]))
    """
    arguments.check_positive(NAME, "scale", scale)
    arguments.check_classes(NAME, x, weight, target, ignore_index)
    cast_x, cast_weight = arguments.same_type(NAME, x, weight)
    request = arguments.request_of(cast_x, len(weight), (x, weight), "none")
    chosen = choose(COSINE_NEGATIVES, request, implementation)
    valid = target != ignore_index
    with arguments.without_autocast(x):
        unit = F.normalize(x.to(accumulator(x.dtype)), eps=EPSILON) * scale
        known = target.masked_fill(~valid, 0)
        call = _Call(unit.to(cast_x.dtype), cast_weight, known, request.gradient)
        logit, negative_lse = chosen.run(call).unbind()
        # without a target here, class 0 is a negative like all others
        every = torch.logaddexp(negative_lse, logit)
        return CosineNegatives(
            torch.where(valid, logit, 0.0), torch.where(valid, negative_lse, every)
        )


def reference(call: _Call) -> Tensor:
    """Compute both numbers (2, N) from the matrix of cosines."""
    wide = accumulator(call.x.dtype)
    unit = F.normalize(call.weight.to(wide), eps=EPSILON).to(call.x.dtype)
    logits = F.linear(call.x, unit).to(wide)
    known = call.target.unsqueeze(1)
    negatives = logits.scatter(1, known, -torch.inf)
    return torch.stack([logits.gather(1, known).squeeze(1), negatives.logsumexp(dim=1)])


def _by_negatives(negatives: Negatives, call: _Call) -> Tensor:
    """Compute both numbers (2, N)."""
    logits = Logits(call.x, call.weight, None, call.target, cosine=True)
    return torch.stack(negatives(logits, call.gradient))


def _trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return calls for rows with a target, and for rows whose target is elsewhere."""
    draw = TrialInputs(rows, generator)
    inputs, target = (draw.features(), draw.normal(CLASSES + rows, FEATURES)), draw.labels(3)

    def both(name: str, x: Tensor, weight: Tensor) -> Tensor:
        result = cosine_negatives(x, weight, target, scale=8.0, implementation=name)
        difference = result.negative_lse - result.target_logit
        return torch.where(target != -100, difference, 0.0)

    def lse(name: str, x: Tensor, weight: Tensor) -> Tensor:
        return cosine_negatives(x, weight, target, scale=8.0, implementation=name).negative_lse

    return {"loss": Trial(inputs, both, target == -100), "elsewhere": Trial(inputs, lse)}


COSINE_NEGATIVES = Op(
    NAME,
    cosine_negatives,
    *by_negatives.cosine_implementations(reference, "their log-sum-exp", _by_negatives),
    trials=_trials,
)
