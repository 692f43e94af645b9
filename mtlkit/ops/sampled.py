"""Partial FC: the margin cross-entropy against some of the classes, drawn anew at every step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op
from mtlkit.ops.dispatch.trial import Trial
from mtlkit.ops.kernels.arguments import check_classes, request_of, same_type
from mtlkit.ops.margin import MARGIN_CROSS_ENTROPY, Margin, margin_cross_entropy, margin_trials

NAME = "sampled_margin_cross_entropy"


class SampledLoss(NamedTuple):
    """The loss, and the classes (S,), ascending, whose rows of W it used."""

    loss: Tensor
    classes: Tensor


def sampled_margin_cross_entropy(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    samples: int,
    *,
    generator: torch.Generator | None = None,
    scale: float = 64.0,
    multiplier: float = 1.0,
    angle: Margin = 0.5,
    additive: Margin = 0.0,
    easy_margin: bool = False,
    ignore_index: int = -100,
    reduction: str = "mean",
    implementation: str | Implementation | None = None,
) -> SampledLoss:
    """`margin_cross_entropy` against `samples` classes: those of the batch, and others by chance.

    An et al. (CVPR 2022). The loss differs from that of all classes, so it is never chosen
    automatically. `samples` must not be fewer than the rows: every class of the batch is kept. The
    classes drawn come back with the loss, for an optimizer that updates their rows only.

    >>> x, weight = torch.ones(2, 3), torch.eye(3)
    >>> result = sampled_margin_cross_entropy(x, weight, torch.tensor([2, 2]), 2)
    >>> 2 in result.classes.tolist(), len(result.classes)
    (True, 2)
    """
    check_classes(NAME, x, weight, target, ignore_index)
    if not isinstance(samples, int) or isinstance(samples, bool):
        raise TypeError(f"{NAME}: samples: expected an int, got {type(samples).__name__}")
    if not len(x) <= samples <= len(weight):
        raise ValueError(
            f"{NAME}: samples: expected from {len(x)}, the rows, to {len(weight)}, the classes; "
            f"got {samples}"
        )
    (cast_x,) = same_type(NAME, x)  # autocast casts the weight to the same type
    request = request_of(cast_x, samples, (x, weight), reduction)
    chosen = choose(SAMPLED_MARGIN_CROSS_ENTROPY, request, implementation)
    valid = target != ignore_index
    known = target.masked_fill(~valid, 0)
    chance = torch.rand(len(weight), generator=generator, device=weight.device)
    # an ignored row points to class 0 and must not stop that class from being kept
    chance = chance.scatter_reduce(0, known, torch.where(valid, 2.0, 0.0), "amax")
    classes = chance.topk(samples).indices.sort().values
    place = torch.searchsorted(classes, known).clamp_max(samples - 1)
    loss = margin_cross_entropy(
        x,
        weight.index_select(0, classes),
        place.masked_fill(~valid, ignore_index),
        scale=scale,
        multiplier=multiplier,
        angle=angle,
        additive=additive,
        easy_margin=easy_margin,
        ignore_index=ignore_index,
        reduction=reduction,
        implementation=chosen,
    )
    return SampledLoss(loss, classes)


def _trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return the calls of the margin cross-entropy, against a sample of all classes: no chance."""

    def loss(x: Tensor, weight: Tensor, target: Tensor, **options: Any) -> Tensor:
        return sampled_margin_cross_entropy(x, weight, target, len(weight), **options).loss

    return margin_trials(loss, rows, generator)


SAMPLED_MARGIN_CROSS_ENTROPY = Op(
    NAME,
    sampled_margin_cross_entropy,
    *MARGIN_CROSS_ENTROPY.implementations.values(),
    trials=_trials,
    like=MARGIN_CROSS_ENTROPY.name,
)
