"""Multi-objective gradient correction (MoCo; Fernando et al., ICLR 2023).

Paper: Heshan Fernando, Han Shen, Miao Liu, Subhajit Chaudhury, Keerthiram Murugesan and Tianyi
Chen, "Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent Approach", ICLR
2023.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least_number, between, one_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import CrossSampleWeighting
from mtlkit.weightings.kinds import Direction, StatefulJacobian, UpdateStats
from mtlkit.weightings.solvers.simplex import normalized, project


@attrs.frozen(kw_only=True)
class MoCo(CrossSampleWeighting):
    """MGDA on running means of gradients, to reduce its bias (MoCo; Fernando et al., ICLR 2023).

    `tracking` (the paper's beta) is the weight of the newest gradient in the mean, `rate` (gamma)
    the step size of the weights, and `pull` (rho) regularizes them towards equal weights. Update k
    divides `tracking` and `rate` by k^`decay`.

    `form` ``released`` is that of the authors' code: each gradient is scaled to the length of its
    loss, means start at zero, and weights pass a softmax instead of a projection (its `decay` is
    0.5).
    """

    returns_direction = True

    tracking: float = attrs.field(default=0.5, validator=between(0.001, 1))
    rate: float = attrs.field(default=0.1, validator=above(0))
    pull: float = attrs.field(default=0.0, validator=at_least_number(0))
    decay: float = attrs.field(default=0.0, validator=at_least_number(0))
    form: str = attrs.field(default="paper", validator=one_of("paper", "released"))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "MoCoDirection":
        return FORMS[self.form](self, terms)


class MoCoDirection(StatefulJacobian):
    """Y' w with running means of gradients Y, and weights w that descend on the norm of Y' w.

    Each update moves y_t towards g_t by `tracking` (eq. 7) and w along -(Y Y' + pull I) w by
    `rate`, then projects w onto the simplex (eq. 8). A mean starts at the task's first gradient;
    the paper does not define the start.
    """

    def __init__(self, config: MoCo, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.config = config
        self.tracked = nn.Buffer(torch.zeros(len(terms), 0))
        self.updates = nn.Buffer(torch.zeros(len(terms)))
        self.values = nn.Buffer(torch.full((len(terms),), 1 / len(terms)))

    def allocate(self, elements: int) -> None:
        self.tracked = nn.Buffer(self.tracked.new_zeros(len(self.tracked), elements))

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        at = stats.indices
        self.updates[at] += 1
        divisor = self.updates[at] ** self.config.decay
        tracked = self.track(self.tracked[at], self.scaled(jacobian, stats), at, divisor)
        self.tracked[at] = tracked
        weights, total = normalized(self.values, at)
        slope = tracked @ (weights @ tracked) + self.config.pull * weights
        weights = self.to_simplex(weights - self.config.rate / divisor * slope)
        self.values[at] = weights * total
        return Direction(weights @ tracked, weights)

    def scaled(self, jacobian: Tensor, stats: UpdateStats) -> Tensor:
        """Return the gradients (K, P) that are tracked."""
        return jacobian

    def track(self, before: Tensor, newest: Tensor, at: Tensor, divisor: Tensor) -> Tensor:
        """Return the running means (K, P)."""
        step = torch.where(self.updates[at] > 1, self.config.tracking / divisor, 1.0)
        return before + step.unsqueeze(1) * (newest - before)

    def to_simplex(self, weights: Tensor) -> Tensor:
        """Return weights (K,) >= 0 with sum 1."""
        return project(weights)


class ReleasedMoCoDirection(MoCoDirection):
    """`MoCoDirection` as in the authors' code, which LibMTL contains.

    Tracks L_t g_t / |g_t| from zero on, and maps weights to the simplex by a softmax.
    """

    def scaled(self, jacobian: Tensor, stats: UpdateStats) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(jacobian, dim=1) + 1e-8
        return jacobian * (stats.losses / norms).unsqueeze(1)

    def track(self, before: Tensor, newest: Tensor, at: Tensor, divisor: Tensor) -> Tensor:
        return before + (self.config.tracking / divisor).unsqueeze(1) * (newest - before)

    def to_simplex(self, weights: Tensor) -> Tensor:
        return weights.softmax(dim=0)


FORMS: Mapping[str, type[MoCoDirection]] = {
    "paper": MoCoDirection,
    "released": ReleasedMoCoDirection,
}
"""Modules by the option `form`."""
