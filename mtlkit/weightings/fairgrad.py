"""Fair shares of the progress (FairGrad; Ban & Ji, ICML 2024).

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
    """Fair shares of the progress, G a = a^(-1 / alpha) (FairGrad; Ban & Ji, ICML 2024, eq. 8).

    `alpha` is the kind of fairness: 1 is that of Nash-MTL, and the larger, the more the task that
    gains least counts. Beyond these bounds gradients of very unequal lengths were not solved.
    """

    alpha: float = attrs.field(default=1.0, validator=between(0.5, 2))

    @property
    def scale_free(self) -> bool:
        return self.alpha == 1  # Nash's product, which no unit changes

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return FairGradWeights(self.alpha)


class FairGradWeights(GramianWeighting):
    """Weights a > 0 with G a = a^(-1 / alpha) (eq. 8): alpha-fair shares of what the losses fall.

    With alpha = 1 it is Nash-MTL's bargain; the larger alpha, the more the task that gains least
    counts. A gradient of zero gains nothing whatever it pays: it gets the weight 0.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.power = 1 / alpha

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        return bargain(gramian, self.power)
