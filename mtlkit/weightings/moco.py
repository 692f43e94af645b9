"""Multi-objective gradient correction (MoCo; Fernando et al., ICLR 2023)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.configs import MoCo
from mtlkit.weightings.kinds import Direction, JacobianWeighting, Known, StatefulJacobian
from mtlkit.weightings.solvers.simplex import project, share_of


class MoCoDirection(JacobianWeighting, StatefulJacobian):
    """Y' w with tracked gradients Y and weights w that follow the shortest of their combinations.

    Each update moves y_t towards g_t by `tracking` (eq. 7) and w along -(Y Y' + pull I) w by
    `rate`, back onto the simplex (eq. 8). A task's first gradient is taken whole, where the paper
    leaves the start open.
    """

    tracked: Tensor
    seen: Tensor
    values: Tensor

    def __init__(self, config: MoCo, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.tracking, self.rate, self.pull = config.tracking, config.rate, config.pull
        self.register_buffer("tracked", torch.zeros(len(terms), 0))
        self.register_buffer("seen", torch.zeros(len(terms)))
        self.register_buffer("values", torch.full((len(terms),), 1 / len(terms)))

    def allocate(self, elements: int) -> None:
        self.tracked = self.tracked.new_zeros(len(self.tracked), elements)

    def forward(self, jacobian: Tensor, known: Known) -> Direction:
        at = known.places
        step = torch.where(self.seen[at] > 0, self.tracking, 1.0).unsqueeze(1)
        tracked = self.tracked[at]
        tracked = tracked + step * (jacobian - tracked)
        self.tracked[at] = tracked
        self.seen[at] += 1
        weights, total = share_of(self.values, at)
        slope = tracked @ (weights @ tracked) + self.pull * weights
        weights = project(weights - self.rate * slope)
        self.values[at] = weights * total
        return Direction(weights @ tracked, weights)
