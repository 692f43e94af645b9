"""Adam with Nesterov momentum.

Paper: Timothy Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.
"""

import attrs
import torch

from mtlkit.component import above, at_least_number, below
from mtlkit.optim.base import Optimizer, ParameterGroups


@attrs.frozen(kw_only=True)
class NAdam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016), with decoupled weight decay."""

    elementwise = True

    lr: float = attrs.field(default=2e-3, validator=above(0))
    beta1: float = attrs.field(default=0.9, validator=below(1))
    beta2: float = attrs.field(default=0.999, validator=below(1))
    eps: float = attrs.field(default=1e-8, validator=above(0))
    momentum_decay: float = attrs.field(default=4e-3, validator=at_least_number(0))

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        return torch.optim.NAdam(
            groups,
            lr=self.lr,
            betas=(self.beta1, self.beta2),
            eps=self.eps,
            momentum_decay=self.momentum_decay,
            decoupled_weight_decay=True,
        )
