"""Description of a linear classifier to the ops that compute several of them in one call.

The loss of such a head is computed from its description, alone or fused with others. An option that
the description lacks therefore cannot take part in the loss of one and be dropped in the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import attrs
from torch import Tensor

from mtlkit.ops import (
    grouped_linear_cross_entropy,
    linear_cross_entropy,
    multi_head_cross_entropy,
)
from mtlkit.task_types import MISSING


@final
@attrs.frozen(eq=False, kw_only=True)
class LinearCrossEntropy:
    """Cross-entropy of the logits W x + b: the operands and options of one head's loss.

    Every option is passed on by its name, so an op either honors it or raises. An `implementation`
    is one of `linear_cross_entropy`, which no fused op provides: it prevents fusion.

    >>> import torch
    >>> head = LinearCrossEntropy(weight=torch.zeros(2, 8), label_smoothing=0.1)
    >>> head.key
    (('label_smoothing', 0.1),)
    >>> head.loss(torch.ones(2, 8), torch.tensor([1, -1])).tolist()
    [0.6931471824645996, 0.0]
    """

    weight: Tensor  # (C, D)
    bias: Tensor | None = None  # (C,)
    label_smoothing: float = 0.0
    implementation: str | None = None  # None leaves the choice to the op

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that the fused ops share with `linear_cross_entropy`."""
        return {name: getattr(self, name) for name in _OPTIONS}

    @property
    def key(self) -> tuple[tuple[str, Any], ...] | None:
        """Equal for heads that one call can compute; None for a head that is computed alone."""
        return tuple(self.options.items()) if self.implementation is None else None

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample (N,), computed for this head alone."""
        return linear_cross_entropy(
            features,
            self.weight,
            target,
            self.bias,
            ignore_index=MISSING,
            reduction="none",
            implementation=self.implementation,
            **self.options,
        )


_OPTIONS = tuple(
    field.name
    for field in attrs.fields(LinearCrossEntropy)
    if field.name not in ("weight", "bias", "implementation")
)


def multi_head_losses(
    heads: Sequence[LinearCrossEntropy], features: Tensor, targets: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Return the loss (N,) of each head at `features` (N, D); all heads have one key."""
    return multi_head_cross_entropy(
        features,
        [head.weight for head in heads],
        targets,
        [head.bias for head in heads],
        ignore_index=MISSING,
        reduction="none",
        **heads[0].options,
    ).losses.unbind()


def grouped_losses(
    heads: Sequence[LinearCrossEntropy], features: Tensor, target: Tensor, group: Tensor
) -> Tensor:
    """Return the loss (N,) of each sample by the head of its `group` (N,); 0 if that is -1.

    All heads have one key.
    """
    return grouped_linear_cross_entropy(
        features,
        [head.weight for head in heads],
        target,
        group,
        [head.bias for head in heads],
        ignore_index=MISSING,
        reduction="none",
        **heads[0].options,
    )


def fusible(heads: Sequence[LinearCrossEntropy | None]) -> Sequence[LinearCrossEntropy]:
    """Return `heads` if all are described and have one key, else nothing."""
    described = [head for head in heads if head is not None]
    keys = {head.key for head in described}
    return described if len(described) == len(heads) and len(keys) == 1 and None not in keys else []
