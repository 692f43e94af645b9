"""Fair shares of the progress (FairGrad; Ban & Ji, ICML 2024), by TorchJD."""

from torch import Tensor
from torchjd.aggregation import FairGradWeighting

from mtlkit.weighting.module import GramianWeighting, Known, spread
from mtlkit_torchjd.configs import FairGrad


class FairGradWeights(GramianWeighting):
    """Weights w with G w = w^(-1/alpha), each above 0, by least squares (eq. 4).

    The solver sees gradients of mean squared norm 1, for its tolerances are absolute: by the
    equation, gradients s times as long have weights s^(-2 alpha / (1 + alpha)) times as large.
    Norms that differ by more than a factor of 1000 leave it far from a solution. Opposite gradients
    have none, only weights at which the equation nearly holds: large, finite, nearly cancelling. A
    gradient of zero could have any weight, and gets 0. The equation is solved on the CPU.
    """

    def __init__(self, config: FairGrad) -> None:
        super().__init__()
        self.solver = FairGradWeighting(config.alpha, config.iterations)

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        moving = (gramian.diagonal() > 0).nonzero().flatten()
        if len(moving) == 0:
            return gramian.new_zeros(len(gramian))
        present = gramian[moving][:, moving]
        scale = present.diagonal().mean()
        power = self.solver.alpha / (1 + self.solver.alpha)
        weights: Tensor = self.solver(present / scale) / scale**power
        return spread(weights, moving, len(gramian))
