"""Multi-task learning by excess risks (ExcessMTL; He et al., ICML 2024).

Paper: Yifei He, Shiji Zhou, Guojun Zhang, Hyokun Yun, Yi Xu, Belinda Zeng, Trishul Chilimbi and Han
Zhao, "Robust Multi-Task Learning with Excess Risks", ICML 2024.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import CrossSampleWeighting
from mtlkit.weightings.kinds import Direction, StatefulJacobian, UpdateStats


@attrs.frozen(kw_only=True)
class ExcessMTL(CrossSampleWeighting):
    """More weight for tasks with a larger excess risk (He et al., ICML 2024, eq. 6-9).

    The excess risk is estimated from gradients and their accumulated squares, relative to the
    task's first estimate. `rate` is the step size of the weights (the paper's eta).
    """

    returns_direction = True

    rate: float = attrs.field(default=1.0, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "ExcessMTLDirection":
        return ExcessMTLDirection(self.rate, terms)


class ExcessMTLDirection(StatefulJacobian):
    """Weights w_t proportional to w_t exp(rate E_t / E_t0), with the excess risk E_t = g' H^-1 g.

    H is the diagonal sqrt(sum of squared gradients), as in AdaGrad (eq. 6-7, 9). E_t0 is the first
    excess risk of the task (section 3.2). Weights start equal and sum to 1.
    """

    def __init__(self, rate: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.rate = rate
        self.squares = nn.Buffer(torch.zeros(len(terms), 0))
        self.first = nn.Buffer(torch.zeros(len(terms)))  # 0: no estimate yet
        self.values = nn.Buffer(torch.full((len(terms),), 1 / len(terms)))

    def allocate(self, elements: int) -> None:
        self.squares = nn.Buffer(self.squares.new_zeros(len(self.squares), elements))

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        at = stats.indices
        square = jacobian.square()
        squares = self.squares[at] + square
        self.squares[at] = squares
        excess = (square / (squares + 1e-7).sqrt()).sum(dim=1)
        first = torch.where(self.first[at] > 0, self.first[at], excess)
        self.first[at] = first
        relative = excess / first.clamp(min=1e-12)
        values = self.values[at]
        weights = (values.log() + self.rate * relative).softmax(dim=0).clamp(min=1e-8)
        self.values[at] = weights * values.sum()
        return Direction(weights @ jacobian, weights)
