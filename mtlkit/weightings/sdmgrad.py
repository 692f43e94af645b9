"""Direction-oriented multi-objective learning (SDMGrad; Xiao et al., NeurIPS 2023).

Paper: Peiyao Xiao, Hao Ban and Kaiyi Ji, "Direction-oriented Multi-objective Learning: Simple and
Provable Stochastic Algorithms", NeurIPS 2023.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least, at_least_number, below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import CrossSampleWeighting
from mtlkit.weightings.kinds import DoubleSampling, UpdateStats
from mtlkit.weightings.solvers.simplex import normalized, project


@attrs.frozen(kw_only=True)
class SDMGrad(CrossSampleWeighting):
    """A direction between MGDA's and the mean (SDMGrad; Xiao et al., NeurIPS 2023, algorithm 1).

    The samples of an update are split into three draws: two for the weights, one for the update.
    `nearness` (the paper's lambda) regularizes towards the mean gradient. The weights are solved by
    `steps` steps of size `rate` with `momentum`, on gradients divided by their mean norm.
    """

    nearness: float = attrs.field(default=0.3, validator=at_least_number(0))
    rate: float = attrs.field(default=10.0, validator=above(0))
    momentum: float = attrs.field(default=0.5, validator=below(1))
    steps: int = attrs.field(default=20, validator=at_least(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "SDMGradWeights":
        return SDMGradWeights(self, terms)


class SDMGradWeights(DoubleSampling):
    """Weights (w + l / K) / (1 + l), with w on the simplex minimizing |g_w + l g_0|^2 (eq. 7).

    w descends along J1 J2' (w + l / K) of two draws, divided by the squared mean gradient norm
    (section 6.1), from its value in the previous update (algorithm 1).
    """

    def __init__(self, config: SDMGrad, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.nearness, self.rate = config.nearness, config.rate
        self.momentum, self.steps = config.momentum, config.steps
        self.values = nn.Buffer(torch.full((len(terms),), 1 / len(terms)))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        weights, total = normalized(self.values.to(gramian), stats.indices)
        mean = self.nearness / len(weights)
        # the product of two draws of one gradient may be negative
        unit = gramian.diagonal().clamp(min=0).sqrt().mean().square()
        matrix = gramian / (unit + 1e-8)
        velocity = torch.zeros_like(weights)
        for _ in range(self.steps):
            velocity = self.momentum * velocity + matrix @ (weights + mean)
            weights = project(weights - self.rate * velocity)
        self.values[stats.indices] = (weights * total).to(self.values)
        return (weights + mean) / (1 + self.nearness)
