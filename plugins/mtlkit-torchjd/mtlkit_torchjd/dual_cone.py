"""Projection onto the directions that conflict with no gradient, by TorchJD.

The dual cone of the gradients holds every direction along which no loss rises to first order.
Shapes: T loss terms, K of them present.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchjd.aggregation import DualProjWeighting, UPGradWeighting
from torchjd.linalg import QuadprogProjector

from mtlkit.plugins import LossTerm
from mtlkit.weightings import GramianWeighting, UpdateStats
from mtlkit_torchjd.configs import DualProj, UpGrad


def by_place(named: Mapping[str, float], terms: Sequence[LossTerm], other: float) -> Tensor:
    """The numbers (T,) of `named` losses in the order of `terms`, and `other` for those not named.

    >>> from mtlkit.task_types import Kind, Role
    >>> terms = [LossTerm(name, name, Role.SIDE, Kind.REGRESSION) for name in ("age", "height")]
    >>> by_place({"height": 3.0}, terms, 1.0).tolist()
    [1.0, 3.0]
    """
    return torch.tensor([named.get(term.name, other) for term in terms])


class OntoDualCone(GramianWeighting):
    """The parent of both projections: TorchJD's quadratic programs, free of the gradients' scale.

    TorchJD takes gradients for zero whose squared norms sum to less than 1e-4, which gradients at
    features may do; here that bound is 0. The ridge makes dependent and opposite gradients
    soluble. It also hides gradients that are short beside the others: at 1e-4, one 100 times
    shorter than all together may be conflicted with. A gradient of zero stands in nobody's way. The
    programs are solved on the CPU.
    """

    preferences: Tensor

    def __init__(self, config: UpGrad | DualProj, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        projector = QuadprogProjector(norm_eps=0.0, reg_eps=config.ridge)
        self.solver = self.solver_with(projector)
        numbers = by_place(config.preferences, terms, 1.0)
        self.register_buffer("preferences", numbers, persistent=False)

    @abstractmethod
    def solver_with(self, projector: QuadprogProjector) -> UPGradWeighting | DualProjWeighting:
        """TorchJD's weighting, with a `projector`."""

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        preferences = self.preferences[stats.indices].to(gramian)
        self.solver.pref_vector = preferences / preferences.sum()
        # what all gradients of zero are multiplied by is all the same, if only it is finite
        identity = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
        vanishes = gramian.diagonal().sum() <= 0
        weights: Tensor = self.solver(torch.where(vanishes, identity, gramian))
        return weights


class UpGradWeights(OntoDualCone):
    """The weights of the mean of all gradients, each projected (proposition 1 gives the program).

    The direction conflicts with no gradient, up to the ridge; opposite gradients cancel. K programs
    of K unknowns are solved.
    """

    def solver_with(self, projector: QuadprogProjector) -> UPGradWeighting:
        return UPGradWeighting(projector=projector)


class DualProjWeights(OntoDualCone):
    """The weights of the projected mean of all gradients; one program of K unknowns is solved.

    The direction conflicts with no gradient, up to the ridge; opposite gradients cancel.
    """

    def solver_with(self, projector: QuadprogProjector) -> DualProjWeighting:
        return DualProjWeighting(projector=projector)
