"""Multi-task learning by excess risks (ExcessMTL; He et al., ICML 2024).

Paper: Yifei He, Shiji Zhou, Guojun Zhang, Hyokun Yun, Yi Xu, Belinda Zeng, Trishul Chilimbi and Han
Zhao, "Robust Multi-Task Learning with Excess Risks", ICML 2024.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, member_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientLocation, GradientWeighting
from mtlkit.weightings.kinds import Direction, StatefulJacobian, UpdateStats, WeightingModule


@attrs.frozen(kw_only=True)
class ExcessMTL(GradientWeighting):
    """More weight to the tasks that are farther from their best (He et al., ICML 2024, eq. 6-9).

    `rate` is that of the weights (the paper's eta). The distance is estimated from gradients and
    their running squares, and measured in units of the first one.
    """

    directs: ClassVar[bool] = True

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    rate: float = attrs.field(default=1.0, validator=above(0))

    @property
    def remembers(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return ExcessMTLDirection(self.rate, terms)


class ExcessMTLDirection(StatefulJacobian):
    """Weights w_t proportional to w_t exp(rate E_t / E_t0), by the excess risk E_t = g' H^-1 g.

    H is the diagonal sqrt(sum of squared gradients), as AdaGrad's (eq. 6-7, 9). E_t0 is the first
    excess risk of the task (section 3.2). Weights start equal and add up to 1.
    """

    squares: Tensor
    first: Tensor
    values: Tensor

    def __init__(self, rate: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("squares", torch.zeros(len(terms), 0))
        self.register_buffer("first", torch.zeros(len(terms)))  # 0: not seen yet
        self.register_buffer("values", torch.full((len(terms),), 1 / len(terms)))

    def allocate(self, elements: int) -> None:
        self.squares = self.squares.new_zeros(len(self.squares), elements)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        at = stats.indices
        square = jacobian.square()
        squares = self.squares[at] + square
        self.squares[at] = squares
        excess = (square / (squares + 1e-7).sqrt()).sum(dim=1)
        first = torch.where(self.first[at] > 0, self.first[at], excess)
        self.first[at] = first
        relative = excess / first.clamp(min=1e-12)
        own = self.values[at]
        weights = (own.log() + self.rate * relative).softmax(dim=0).clamp(min=1e-8)
        self.values[at] = weights * own.sum()
        return Direction(weights @ jacobian, weights)
