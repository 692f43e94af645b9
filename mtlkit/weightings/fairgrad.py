"""Fair resource allocation among tasks (FairGrad; Ban & Ji, ICML 2024).

Paper: Hao Ban and Kaiyi Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024.
"""

import attrs
from torch import Tensor

from mtlkit.component import above, between, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats
from mtlkit.weightings.solvers.bargaining import bargain, capped


@attrs.frozen(kw_only=True)
class FairGrad(GradientWeighting):
    """Alpha-fair decrease of the losses, G a = a^(-1 / alpha) (Ban & Ji, ICML 2024, eq. 8).

    `alpha` = 1 is Nash-MTL; larger values favor the task that improves least. The solver does not
    converge outside these bounds if gradient norms are very unequal. `largest_mean` bounds the mean
    of the weights, so that no loss trains at more than K times its learning rate; None disables the
    bound, as in the paper.
    """

    alpha: float = attrs.field(default=1.0, validator=between(0.5, 2))
    largest_mean: float | None = attrs.field(default=1.0, validator=optional(above(0)))

    @property
    def scale_free(self) -> bool:
        # the Nash product is invariant to scales
        return self.alpha == 1 and self.largest_mean is None

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "FairGradWeights":
        return FairGradWeights(self)


class FairGradWeights(GramianWeighting):
    """Weights a > 0 with G a = a^(-1 / alpha) (eq. 8); 0 for a gradient of zero."""

    def __init__(self, config: FairGrad) -> None:
        super().__init__()
        self.power, self.largest_mean = 1 / config.alpha, config.largest_mean

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        return capped(bargain(gramian, self.power), self.largest_mean)
