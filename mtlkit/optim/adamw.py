"""Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019).

Paper: Ilya Loshchilov and Frank Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

import attrs
import torch

from mtlkit.component import above, below
from mtlkit.optim.base import Optimizer, ParameterGroups
from mtlkit.optim.lazy_rows import RowRule, adam_rows


@attrs.frozen(kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019)."""

    elementwise = True

    lr: float = attrs.field(default=1e-3, validator=above(0))
    beta1: float = attrs.field(default=0.9, validator=below(1))
    beta2: float = attrs.field(default=0.999, validator=below(1))

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        return torch.optim.AdamW(groups, lr=self.lr, betas=(self.beta1, self.beta2))

    def row_rule(self) -> "RowRule":
        return adam_rows
