"""Description of a linear classifier, from which ops compute several losses in one call."""

from collections.abc import Mapping
from typing import Any, final

import attrs
from torch import Tensor


@final
@attrs.frozen(eq=False, kw_only=True)
class LinearCrossEntropy:
    """Cross-entropy of the logits W x + b: the operands and options of one head's loss.

    Every option is passed to the ops by name, so an op applies it or raises. A head with an
    `implementation` of `linear_cross_entropy` is never fused.

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
        """Options that the fused ops share with `linear_cross_entropy`."""
        return {name: getattr(self, name) for name in _OPTIONS}

    @property
    def key(self) -> tuple[tuple[str, Any], ...] | None:
        """Key that is equal for heads that can be fused; None for a head that is never fused."""
        return tuple(self.options.items()) if self.implementation is None else None


_OPTIONS = tuple(
    field.name
    for field in attrs.fields(LinearCrossEntropy)
    if field.name not in ("weight", "bias", "implementation")
)
