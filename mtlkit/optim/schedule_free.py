"""Optimizers that need no schedule.

Paper: Aaron Defazio, Xingyu (Alice) Yang, Harsh Mehta, Konstantin Mishchenko, Ahmed Khaled and
Ashok Cutkosky, "The Road Less Scheduled", NeurIPS 2024.
"""

import attrs
import torch

from mtlkit.component import above, at_least, below, one_of
from mtlkit.errors import import_extra
from mtlkit.optim.base import Optimizer, ParameterGroups


@attrs.frozen(kw_only=True)
class ScheduleFree(Optimizer):
    """AdamW or SGD with averaged weights in place of a schedule (Defazio et al., NeurIPS 2024).

    Requires the extra ``mtlkit[schedule-free]``. Training and validation use different weights; the
    trained model has the averaged ones. Use the schedule `constant`; `warmup_steps` is its own.
    `beta` interpolates between the two kinds of weights, `beta2` is that of the second moment of
    AdamW. Statistics of batch norm are those of the training weights.
    """

    elementwise = True
    replaces_schedule = True

    base: str = attrs.field(default="adamw", validator=one_of("adamw", "sgd"))
    lr: float = attrs.field(default=2.5e-3, validator=above(0))
    beta: float = attrs.field(default=0.9, validator=below(1))
    beta2: float = attrs.field(default=0.999, validator=below(1))
    warmup_steps: int = attrs.field(default=0, validator=at_least(0))

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        schedulefree = import_extra(
            "schedulefree", "optimizer: 'schedule-free'", "the package schedulefree",
            "schedule-free",
        )  # fmt: skip
        optimizer: torch.optim.Optimizer
        if self.base == "sgd":
            optimizer = schedulefree.SGDScheduleFree(
                groups, lr=self.lr, momentum=self.beta, warmup_steps=self.warmup_steps
            )
        else:
            optimizer = schedulefree.AdamWScheduleFree(
                groups, lr=self.lr, betas=(self.beta, self.beta2), warmup_steps=self.warmup_steps
            )
        return optimizer
