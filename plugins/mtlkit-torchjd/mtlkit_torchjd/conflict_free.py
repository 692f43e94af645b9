"""Equal progress along all unit gradients (ConFIG; Liu et al., 2024), by TorchJD."""

from collections.abc import Iterable, Mapping, Sequence

import attrs
import torch
from torch import Tensor
from torchjd import aggregation

from mtlkit.plugins import LossTerm, Problem, above, each
from mtlkit.weightings import Direction, JacobianWeighting, UpdateStats, WeightingModule
from mtlkit_torchjd.direction_weighting import DirectionWeighting, progress
from mtlkit_torchjd.options_by_loss import tensor_by_loss, unknown_losses

NEGLIGIBLE = 1e-15
"""A gradient shorter than the longest by this factor counts as zero: its squared norm has no
digits left in float32."""


@attrs.frozen(kw_only=True)
class ConFIG(DirectionWeighting):
    """The direction of equal progress along all unit gradients (ConFIG; Liu et al., 2024, eq. 2).

    `preferences` are the relative progress along each, by the name of the loss; the default is 1,
    and only ratios matter.
    """

    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from super().problems(terms)
        yield from unknown_losses("preferences", self.preferences, terms)

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return ConFIGDirection(self, terms)


class ConFIGDirection(JacobianWeighting):
    """The direction with the same cosine to all gradients, as long as the sum of its projections.

    The pseudo-inverse of the unit gradients, in the Jacobian's precision, ignores differences
    within rounding error: dependent gradients are solved by least squares, and opposite ones
    cancel to a direction of zero. A gradient of zero is ignored.
    """

    preferences: Tensor

    def __init__(self, config: ConFIG, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.solver = aggregation.ConFIG()
        preferences = tensor_by_loss(config.preferences, terms, 1.0)
        self.register_buffer("preferences", preferences, persistent=False)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        self.solver.pref_vector = self.preferences[stats.indices].to(jacobian)
        # the direction scales with the gradients: scaling them to about 1 keeps squares in range
        maxima = torch.linalg.vector_norm(jacobian, ord=torch.inf, dim=1)
        largest = maxima.max()
        finite = largest.isfinite()  # torch's decomposition raises at a NaN
        counts = (maxima > NEGLIGIBLE * largest).unsqueeze(1)
        scaled = torch.where(finite & counts, jacobian / largest, 0.0)
        direction = torch.where(finite, self.solver(scaled) * largest, torch.nan)
        return Direction(direction, progress(jacobian, direction))
