"""Dual-balancing (DB-MTL; Lin et al., 2023, arXiv:2308.12029)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.kinds import (
    Direction,
    GramianWeighting,
    JacobianWeighting,
    Known,
    RequiresPositiveLosses,
    StatefulJacobian,
    positive,
)
from mtlkit.weightings.solvers.gramian import inverse_norms, norms


class DBMTLWeights(GramianWeighting, RequiresPositiveLosses):
    """The sum of max_s |h_s| h_t / |h_t| with h_t = g_t / L_t, the gradient of log L_t (eq. 3-4).

    A gradient of zero has no direction and adds nothing.
    """

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        losses = positive(known.losses).to(gramian)
        longest = (norms(gramian) / losses).max()
        return longest * inverse_norms(gramian)


class DBMTLDirection(JacobianWeighting, StatefulJacobian, RequiresPositiveLosses):
    """As `DBMTLWeights`, with h_t a running mean: `momentum` of itself and the rest the newest."""

    means: Tensor
    seen: Tensor

    def __init__(self, momentum: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("means", torch.zeros(len(terms), 0))
        self.register_buffer("seen", torch.zeros(len(terms)))

    def allocate(self, elements: int) -> None:
        self.means = self.means.new_zeros(len(self.means), elements)

    def forward(self, jacobian: Tensor, known: Known) -> Direction:
        at = known.places
        losses = positive(known.losses)
        newest = jacobian / losses.unsqueeze(1)
        kept = (self.momentum * (self.seen[at] > 0)).unsqueeze(1)  # the first one counts whole
        means = newest + kept * (self.means[at] - newest)
        self.means[at] = means
        self.seen[at] += 1
        gramian = means @ means.T
        weights = norms(gramian).max() * inverse_norms(gramian)
        return Direction(weights @ means, weights / losses)
