"""The multiple-gradient descent algorithm (MGDA; Sener & Koltun, NeurIPS 2018)."""

import torch
from torch import Tensor

from mtlkit.weightings.configs import Normalisation
from mtlkit.weightings.kinds import GramianWeighting, Known, RequiresPositiveLosses, positive
from mtlkit.weightings.solvers.gramian import norms
from mtlkit.weightings.solvers.simplex import shortest


class MGDAWeights(GramianWeighting):
    """Weights on the simplex whose combination of gradients is shortest (eq. 3).

    The combination conflicts with no gradient. One gradient of zero makes it zero: by this
    definition a point where one task cannot improve is where training ends.
    """

    def __init__(self, normalise: Normalisation) -> None:
        super().__init__()
        self.normalise = normalise

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        if self.normalise is Normalisation.NONE:
            return shortest(gramian)
        scale = gramian.new_ones(len(gramian))
        if self.normalise in (Normalisation.NORM, Normalisation.LOSS_AND_NORM):
            scale = scale * norms(gramian)
        if self.normalise in (Normalisation.LOSS, Normalisation.LOSS_AND_NORM):
            scale = scale * positive(known.losses).to(scale)
        inverse = torch.where(scale == 0, 0.0, 1 / scale)  # NaN for a negative loss
        return shortest(inverse.unsqueeze(1) * gramian * inverse)


class MGDAOfLosses(MGDAWeights, RequiresPositiveLosses):
    """As `MGDAWeights`, for gradients that are divided by the loss."""
