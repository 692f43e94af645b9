"""Multi-objective descent by double sampling (MoDo; Chen et al., JMLR 2024)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.configs import MoDo
from mtlkit.weightings.kinds import DoubleSampling, GramianWeighting, Known
from mtlkit.weightings.solvers.simplex import project, share_of


class MoDoWeights(GramianWeighting, DoubleSampling):
    """w moves along -(J1 J2' + pull I) w by `rate`, back onto the simplex (eq. 2.9).

    Two draws make J1 J2' w an unbiased slope, which the Gramian of one is not.
    """

    values: Tensor

    def __init__(self, config: MoDo, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.rate, self.pull = config.rate, config.pull
        self.register_buffer("values", torch.full((len(terms),), 1 / len(terms)))

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        weights, total = share_of(self.values.to(gramian), known.places)
        weights = project(weights - self.rate * (gramian @ weights + self.pull * weights))
        self.values[known.places] = (weights * total).to(self.values)
        return weights
