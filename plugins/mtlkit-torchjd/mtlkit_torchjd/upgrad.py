"""Mean of the projected gradients (UPGrad; Quinton & Rey, 2024), by TorchJD."""

import attrs
from torchjd.aggregation import UPGradWeighting
from torchjd.linalg import QuadprogProjector

from mtlkit.plugins import LossTerm
from mtlkit.weightings import WeightingModule
from mtlkit_torchjd.dual_cone import DualConeWeighting, DualConeWeights


@attrs.frozen(kw_only=True)
class UPGrad(DualConeWeighting):
    """The mean of the gradients, each freed of conflict (UPGrad; Quinton & Rey, 2024, eq. 3).

    `preferences` weigh the gradients in the mean, by the name of the loss; the default is 1, and
    only ratios matter. `ridge` makes the quadratic program solvable if gradients are dependent,
    in units of the sum of their squared norms (TorchJD's reg_eps).
    """

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return UPGradWeights(self, terms)


class UPGradWeights(DualConeWeights):
    """Weights of the mean of all gradients, each projected onto the dual cone (proposition 1).

    The direction conflicts with no gradient, up to the ridge; opposite gradients cancel. Solves K
    programs of K unknowns.
    """

    def create_solver(self, projector: QuadprogProjector) -> UPGradWeighting:
        return UPGradWeighting(projector=projector)
