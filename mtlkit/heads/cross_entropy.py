"""Description of a linear classifier to the ops that compute several of them in one call."""

from collections.abc import Mapping
from typing import Any, final

import attrs
from torch import Tensor


@final
@attrs.frozen(eq=False, kw_only=True)
class LinearCrossEntropy:
    """Cross-entropy of the logits W x + b: the operands and options of one head's loss.

    Every option is passed to the ops by its name, so that they honor it or raise. A head that fixes
    an `implementation`, one of `linear_cross_entropy`, is never fused.

    >>> import torch
    >>> LinearCrossEntropy(weight=torch.zeros(2, 8), label_smoothing=0.1).key
    (('label_smoothing', 0.1),)
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


_OPTIONS = tuple(
    field.name
    for field in attrs.fields(LinearCrossEntropy)
    if field.name not in ("weight", "bias", "implementation")
)
