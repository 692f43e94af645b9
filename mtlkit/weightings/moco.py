"""Multi-objective gradient correction (MoCo; Fernando et al., ICLR 2023).

Paper: Heshan Fernando, Han Shen, Miao Liu, Subhajit Chaudhury, Keerthiram Murugesan and Tianyi
Chen, "Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent Approach", ICLR
2023.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, at_least_number, between, member_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientLocation, GradientWeighting
from mtlkit.weightings.kinds import Direction, StatefulJacobian, UpdateStats, WeightingModule
from mtlkit.weightings.solvers.simplex import normalized, project


@attrs.frozen(kw_only=True)
class MoCo(GradientWeighting):
    """MGDA on running means of gradients, to reduce its bias (MoCo; Fernando et al., ICLR 2023).

    `tracking` (the paper's beta) is the weight of the newest gradient in the mean, `rate` (gamma)
    the step size of the weights, and `pull` (rho) regularizes them towards equal weights.
    """

    returns_direction: ClassVar[bool] = True

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    tracking: float = attrs.field(default=0.5, validator=between(0.001, 1))
    rate: float = attrs.field(default=0.1, validator=above(0))
    pull: float = attrs.field(default=0.0, validator=at_least_number(0))

    @property
    def compares_samples(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return MoCoDirection(self, terms)


class MoCoDirection(StatefulJacobian):
    """Y' w with running means of gradients Y, and weights w that descend on the norm of Y' w.

    Each update moves y_t towards g_t by `tracking` (eq. 7) and w along -(Y Y' + pull I) w by
    `rate`, then projects w onto the simplex (eq. 8). A mean starts at the task's first gradient;
    the paper does not define the start.
    """

    tracked: Tensor
    updates: Tensor
    values: Tensor

    def __init__(self, config: MoCo, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.tracking, self.rate, self.pull = config.tracking, config.rate, config.pull
        self.register_buffer("tracked", torch.zeros(len(terms), 0))
        self.register_buffer("updates", torch.zeros(len(terms)))
        self.register_buffer("values", torch.full((len(terms),), 1 / len(terms)))

    def allocate(self, elements: int) -> None:
        self.tracked = self.tracked.new_zeros(len(self.tracked), elements)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        at = stats.indices
        step = torch.where(self.updates[at] > 0, self.tracking, 1.0).unsqueeze(1)
        tracked = self.tracked[at]
        tracked = tracked + step * (jacobian - tracked)
        self.tracked[at] = tracked
        self.updates[at] += 1
        weights, total = normalized(self.values, at)
        slope = tracked @ (weights @ tracked) + self.pull * weights
        weights = project(weights - self.rate * slope)
        self.values[at] = weights * total
        return Direction(weights @ tracked, weights)
