"""Dual-balancing (DB-MTL; Lin et al., 2023, arXiv:2308.12029).

Paper: Baijiong Lin, Weisen Jiang, Feiyang Ye, Yu Zhang, Pengguang Chen, Ying-Cong Chen, Shu Liu and
James T. Kwok, "Dual-Balancing for Multi-Task Learning", arXiv:2308.12029, 2023.
"""

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import Problem, at_least_number, below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientLocation, GradientWeighting
from mtlkit.weightings.kinds import (
    Direction,
    GramianWeighting,
    RequiresPositiveLosses,
    StatefulJacobian,
    UpdateStats,
    WeightingModule,
    WeightsHeads,
)
from mtlkit.weightings.solvers.gramian import inverse_norms, norms


@attrs.frozen(kw_only=True)
class DBMTL(GradientWeighting):
    """Gradients of log-losses, scaled to the largest norm (DB-MTL; Lin et al., 2023).

    `momentum` is the factor of the running mean of gradients (the paper's beta) and requires
    ``at: parameters``. With 0 the Gramian suffices. Update k divides it by k^`momentum_decay`
    (sigma). With ``heads: weighted``, the heads descend on the log losses, as in the authors' code.
    """

    scale_free = True

    momentum: float = attrs.field(default=0.0, validator=below(1))
    momentum_decay: float = attrs.field(default=0.0, validator=at_least_number(0))

    @property
    def compares_samples(self) -> bool:
        return self.momentum > 0

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.compares_samples and self.at is GradientLocation.LAST_SHARED_LAYER:
            yield Problem(
                ("weighting", "at"),
                "DBMTL with momentum returns a direction, which at the last shared layer has no "
                "entries for the layers before it; use `at: parameters`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return DBMTLDirection(self, terms) if self.compares_samples else DBMTLWeights()


class LogHeads(WeightsHeads, RequiresPositiveLosses):
    """Heads that descend on log L_t, with the weights 1 / L_t."""

    def head_weights(self, stats: UpdateStats) -> Tensor:
        return 1 / stats.positive_losses


class DBMTLWeights(GramianWeighting, LogHeads):
    """Sum of max_s |h_s| h_t / |h_t| with h_t = g_t / L_t, the gradient of log L_t (eq. 3-4).

    A gradient of zero has no direction and contributes nothing.
    """

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        losses = stats.positive_losses.to(gramian)
        largest = (norms(gramian) / losses).max()
        return largest * inverse_norms(gramian)


class DBMTLDirection(StatefulJacobian, LogHeads):
    """`DBMTLWeights` with running means m_t of h_t.

    Update k of a task sets m to h + (m - h) `momentum` / k^`momentum_decay`, from m = 0 on, as in
    the authors' code. This start shortens the direction of the first updates.
    """

    def __init__(self, config: DBMTL, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.momentum, self.decay = config.momentum, config.momentum_decay
        self.means = nn.Buffer(torch.zeros(len(terms), 0))
        self.updates = nn.Buffer(torch.zeros(len(terms)))

    def allocate(self, elements: int) -> None:
        self.means = nn.Buffer(self.means.new_zeros(len(self.means), elements))

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        at = stats.indices
        losses = stats.positive_losses
        newest = jacobian / losses.unsqueeze(1)
        self.updates[at] += 1
        momentum = (self.momentum / self.updates[at] ** self.decay).unsqueeze(1)
        means = newest + momentum * (self.means[at] - newest)
        self.means[at] = means
        gramian = means @ means.T
        weights = norms(gramian).max() * inverse_norms(gramian)
        return Direction(weights @ means, weights / losses)
