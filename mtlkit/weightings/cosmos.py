"""Linear scalarization with a cosine penalty (COSMOS; Ruchte & Grabocka, ICDM 2021).

Paper: Michael Ruchte and Josif Grabocka, "Scalable Pareto Front Approximation for Deep
Multi-Objective Learning", ICDM 2021.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least_number, each
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, UpdateStats
from mtlkit.weightings.solvers.preferences import preference_vector


@attrs.frozen(kw_only=True)
class COSMOS(Weighting):
    """A weighted sum minus the cosine between losses and weights (Ruchte & Grabocka, ICDM 2021).

    `preferences` are the weights (the paper's r), by task name with default 1 / T, and `penalty`
    (lambda) the factor of the cosine. The paper's network also reads the preferences, which it
    draws anew for each update; here they are constant. A loss far above its share has a larger
    weight, and a large `penalty` makes weights of small losses negative.
    """

    min_tasks = 2
    options_by_loss = ("preferences",)

    penalty: float = attrs.field(default=1.0, validator=at_least_number(0))
    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "COSMOSWeights":
        return COSMOSWeights(self, terms)


class COSMOSWeights(BatchLossWeighting):
    """Gradient of r . L - lambda cos(r, L).

    With unit vectors u of r and v of L that is r - lambda (u - (u . v) v) / |L|.
    """

    def __init__(self, config: COSMOS, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.penalty = config.penalty
        preferences = preference_vector(config.preferences, terms, 1 / len(terms))
        self.preferences = nn.Buffer(preferences)

    def weights(self, stats: UpdateStats) -> Tensor:
        preferences = self.preferences[stats.indices]
        norm = torch.linalg.vector_norm(stats.losses).clamp(min=1e-8)
        ray = preferences / torch.linalg.vector_norm(preferences)
        losses = stats.losses / norm
        weights: Tensor = preferences - self.penalty / norm * (ray - (ray @ losses) * losses)
        return weights
