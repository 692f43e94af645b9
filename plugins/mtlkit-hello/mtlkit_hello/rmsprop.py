"""The optimizer `rmsprop`."""

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from mtlkit.optim import Optimizer
from mtlkit.plugins import between


@attrs.frozen(kw_only=True)
class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient (Hinton 2012).

    `alpha` is the decay of the running mean.
    """

    alpha: float = attrs.field(default=0.99, validator=between(0, 1))

    def build(self, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
        # each group has its own "lr" and "weight_decay"
        return torch.optim.RMSprop(groups, lr=self.lr, alpha=self.alpha)
