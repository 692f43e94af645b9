"""Multi-objective descent by double sampling (MoDo; Chen et al., JMLR 2024).

Paper: Lisha Chen, Heshan Fernando, Yiming Ying and Tianyi Chen, "Three-Way Trade-Off in
Multi-Objective Learning: Optimization, Generalization and Conflict-Avoidance", JMLR 2024.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least_number
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import CrossSampleWeighting
from mtlkit.weightings.kinds import DoubleSampling, UpdateStats
from mtlkit.weightings.solvers.simplex import normalized, project


@attrs.frozen(kw_only=True)
class MoDo(CrossSampleWeighting):
    """MGDA's weights by gradient steps from two draws of samples (MoDo; Chen et al., JMLR 2024).

    The samples of an update are split into three draws: two for the weights, one for the update.
    `rate` is the step size of the weights (the paper's gamma), and `pull` (rho) regularizes them
    towards equal weights.
    """

    rate: float = attrs.field(default=0.1, validator=above(0))
    pull: float = attrs.field(default=0.1, validator=at_least_number(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "MoDoWeights":
        return MoDoWeights(self, terms)


class MoDoWeights(DoubleSampling):
    """Weights w that move along -(J1 J2' + pull I) w by `rate`, projected on the simplex (eq. 2.9).

    Two draws make J1 J2' w an unbiased gradient; the Gramian of one draw is biased.
    """

    def __init__(self, config: MoDo, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.rate, self.pull = config.rate, config.pull
        self.values = nn.Buffer(torch.full((len(terms),), 1 / len(terms)))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        weights, total = normalized(self.values.to(gramian), stats.indices)
        weights = project(weights - self.rate * (gramian @ weights + self.pull * weights))
        self.values[stats.indices] = (weights * total).to(self.values)
        return weights
