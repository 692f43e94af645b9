"""Fair resource allocation among tasks (FairGrad; Ban & Ji, ICML 2024).

Paper: Hao Ban and Kaiyi Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024.
"""

import attrs
from torch import Tensor

from mtlkit.component import between
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule
from mtlkit.weightings.solvers.bargaining import bargain


@attrs.frozen(kw_only=True)
class FairGrad(GradientWeighting):
    """Alpha-fair decrease of the losses, G a = a^(-1 / alpha) (Ban & Ji, ICML 2024, eq. 8).

    `alpha` = 1 is Nash-MTL; larger values favor the task that improves least. The solver does not
    converge outside these bounds if gradient norms are very unequal.
    """

    alpha: float = attrs.field(default=1.0, validator=between(0.5, 2))

    @property
    def scale_free(self) -> bool:
        return self.alpha == 1  # the Nash product is invariant to scales

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return FairGradWeights(self.alpha)


class FairGradWeights(GramianWeighting):
    """Weights a > 0 with G a = a^(-1 / alpha) (eq. 8); 0 for a gradient of zero."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.power = 1 / alpha

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        return bargain(gramian, self.power)
