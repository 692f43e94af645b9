"""Projected mean gradient (DualProj; Lopez-Paz & Ranzato, NeurIPS 2017), by TorchJD."""

import attrs
from torchjd.aggregation import DualProjWeighting
from torchjd.linalg import QuadprogProjector

from mtlkit.plugins import LossTerm
from mtlkit.weightings import WeightingModule
from mtlkit_torchjd.dual_cone import DualConeWeighting, DualConeWeights


@attrs.frozen(kw_only=True)
class DualProj(DualConeWeighting):
    """The mean gradient freed of conflict (Lopez-Paz & Ranzato, NeurIPS 2017, eq. 11).

    `preferences` weigh the gradients in the mean, by the name of the loss; the default is 1, and
    only ratios matter. `ridge` makes the quadratic program solvable if gradients are dependent,
    in units of the sum of their squared norms (TorchJD's reg_eps).
    """

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return DualProjWeights(self, terms)


class DualProjWeights(DualConeWeights):
    """Weights of the mean of all gradients, projected onto the dual cone.

    The direction conflicts with no gradient, up to the ridge; opposite gradients cancel. Solves
    one program of K unknowns.
    """

    def create_solver(self, projector: QuadprogProjector) -> DualProjWeighting:
        return DualProjWeighting(projector=projector)
