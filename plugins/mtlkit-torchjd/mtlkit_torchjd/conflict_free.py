"""Equal progress along all unit gradients (ConFIG; Liu et al., 2024), by TorchJD."""

import torch
from torch import Tensor
from torchjd.aggregation import ConFIG

from mtlkit.plugins import LossTerm
from mtlkit.weightings import Direction, JacobianWeighting, UpdateStats
from mtlkit_torchjd.along import along
from mtlkit_torchjd.configs import ConFig
from mtlkit_torchjd.dual_cone import by_place

NEGLIGIBLE = 1e-15
"""A gradient that is shorter than the longest by this factor counts as zero: the square of its
norm has no digits left in float32."""


class ConFigDirection(JacobianWeighting):
    """The direction with the same cosine to all gradients, as long as they go along it together.

    The pseudo-inverse of the unit gradients, in the Jacobian's precision, ignores differences that
    rounding could have made: of dependent gradients the compromise is taken by least squares, and
    opposite ones cancel to a direction of zero. A gradient of zero is left out.
    """

    preferences: Tensor

    def __init__(self, config: ConFig, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.solver = ConFIG()
        numbers = by_place(config.preferences, terms, 1.0)
        self.register_buffer("preferences", numbers, persistent=False)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        self.solver.pref_vector = self.preferences[stats.indices].to(jacobian)
        # the direction is as large as the gradients, which are made about 1: squares stay in range
        sizes = torch.linalg.vector_norm(jacobian, ord=torch.inf, dim=1)
        largest = sizes.max()
        finite = largest.isfinite()  # the decomposition stops with an error of its own at a NaN
        counts = (sizes > NEGLIGIBLE * largest).unsqueeze(1)
        scaled = torch.where(finite & counts, jacobian / largest, 0.0)
        direction = torch.where(finite, self.solver(scaled) * largest, torch.nan)
        return Direction(direction, along(jacobian, direction))
