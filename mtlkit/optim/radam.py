"""Adam with a rectified variance.

Paper: Liyuan Liu, Haoming Jiang, Pengcheng He, Weizhu Chen, Xiaodong Liu, Jianfeng Gao and Jiawei
Han, "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020.
"""

import attrs
import torch

from mtlkit.component import above, below
from mtlkit.optim.base import Optimizer, ParameterGroups


@attrs.frozen(kw_only=True)
class RAdam(Optimizer):
    """Adam with a rectified variance, which needs no warm-up (Liu et al., ICLR 2020).

    Weight decay is decoupled.
    """

    elementwise = True

    lr: float = attrs.field(default=1e-3, validator=above(0))
    beta1: float = attrs.field(default=0.9, validator=below(1))
    beta2: float = attrs.field(default=0.999, validator=below(1))
    eps: float = attrs.field(default=1e-8, validator=above(0))

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        return torch.optim.RAdam(
            groups,
            lr=self.lr,
            betas=(self.beta1, self.beta2),
            eps=self.eps,
            decoupled_weight_decay=True,
        )
