"""Stochastic gradient descent."""

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from mtlkit.component import between
from mtlkit.optim.base import Optimizer


@attrs.frozen(kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    momentum: float = attrs.field(default=0.9, validator=between(0, 1))
    nesterov: bool = False

    def __attrs_post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0, got 0")

    def build(self, groups: "Sequence[dict[str, Any]]") -> "torch.optim.Optimizer":
        from torch.optim import SGD

        # one kernel for all parameters: half the time of a small model's step
        return SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True)
