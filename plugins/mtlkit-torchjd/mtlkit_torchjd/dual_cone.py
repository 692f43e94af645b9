"""Projection onto the dual cone of the gradients, by TorchJD.

The dual cone holds every direction along which no loss rises to first order.
Shapes: T loss terms, K of them present.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import attrs
import torch
from torch import Tensor
from torchjd.aggregation import DualProjWeighting, UPGradWeighting
from torchjd.linalg import QuadprogProjector

from mtlkit.plugins import LossTerm, Problem, above, at_least_number, each
from mtlkit.weightings import GradientWeighting, GramianWeighting, UpdateStats
from mtlkit_torchjd.options_by_loss import tensor_by_loss, unknown_losses

MIN_RIDGE = 1e-6
"""Products of float32 gradients have errors of about 1e-7 of the largest."""


@attrs.frozen(kw_only=True)
class DualConeWeighting(GradientWeighting):
    """Base of both projections: the weights of the mean, and the ridge of the quadratic program."""

    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    ridge: float = attrs.field(default=1e-4, validator=at_least_number(MIN_RIDGE))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from unknown_losses("preferences", self.preferences, terms)


class DualConeWeights(GramianWeighting):
    """Base of both projections: TorchJD's quadratic programs, solved on the CPU.

    TorchJD treats gradients as zero if their squared norms sum to less than 1e-4, which happens
    for gradients at features; here that bound is 0. The ridge makes the program solvable for
    dependent and opposite gradients. It also hides relatively short gradients: at 1e-4, the
    direction may conflict with one 100 times shorter than all together. A gradient of zero
    constrains nothing.
    """

    preferences: Tensor

    def __init__(self, config: DualConeWeighting, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.solver = self.create_solver(QuadprogProjector(norm_eps=0.0, reg_eps=config.ridge))
        preferences = tensor_by_loss(config.preferences, terms, 1.0)
        self.register_buffer("preferences", preferences, persistent=False)

    @abstractmethod
    def create_solver(self, projector: QuadprogProjector) -> UPGradWeighting | DualProjWeighting:
        """Create TorchJD's weighting with `projector`."""

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        preferences = self.preferences[stats.indices].to(gramian)
        self.solver.pref_vector = preferences / preferences.sum()
        # if all gradients are zero, any finite weights give a direction of zero
        identity = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
        vanishes = gramian.diagonal().sum() <= 0
        weights: Tensor = self.solver(torch.where(vanishes, identity, gramian))
        return weights
