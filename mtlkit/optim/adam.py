"""Adam.

Paper: Diederik P. Kingma and Jimmy Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
"""

import attrs
import torch

from mtlkit.component import above, below
from mtlkit.optim.base import Optimizer, ParameterGroups
from mtlkit.optim.lazy_rows import RowRule, adam_rows


@attrs.frozen(kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015); its weight decay is added to the gradient, unlike `adamw`.

    With `amsgrad` it divides by the maximum of the second moments (Reddi et al., ICLR 2018).
    """

    elementwise = True

    lr: float = attrs.field(default=1e-3, validator=above(0))
    beta1: float = attrs.field(default=0.9, validator=below(1))
    beta2: float = attrs.field(default=0.999, validator=below(1))
    eps: float = attrs.field(default=1e-8, validator=above(0))
    amsgrad: bool = False

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(groups, self.lr, betas, self.eps, amsgrad=self.amsgrad)

    def row_rule(self) -> "RowRule | None":
        return adam_rows if not self.amsgrad else None
