"""Fair shares of the progress (FairGrad; Ban & Ji, ICML 2024)."""

from torch import Tensor

from mtlkit.weightings.kinds import GramianWeighting, Known
from mtlkit.weightings.solvers.bargaining import bargain


class FairGradWeights(GramianWeighting):
    """Weights a > 0 with G a = a^(-1 / alpha) (eq. 8): alpha-fair shares of what the losses fall.

    With alpha = 1 it is Nash-MTL's bargain; the larger alpha, the more the task that gains least
    counts. A gradient of zero gains nothing whatever it pays: it gets the weight 0.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.power = 1 / alpha

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        return bargain(gramian, self.power)
