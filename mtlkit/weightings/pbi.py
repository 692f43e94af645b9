"""Penalty-based boundary intersection (PBI; Zhang & Li, IEEE TEVC 2007).

Paper: Qingfu Zhang and Hui Li, "MOEA/D: A Multiobjective Evolutionary Algorithm Based on
Decomposition", IEEE Transactions on Evolutionary Computation 2007.
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
class PBI(Weighting):
    """Progress along a ray of preferences, with a penalty off the ray (PBI; Zhang & Li, 2007).

    `preferences`, by task name with default 1, are the direction of the ray from the `ideal`
    losses, whose default is 0. `penalty` (the paper's theta) multiplies the distance from the ray.
    A loss that is far below the ray has a negative weight.
    """

    min_tasks = 2
    options_by_loss = ("preferences", "ideal")

    penalty: float = attrs.field(default=5.0, validator=at_least_number(0))
    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    ideal: Mapping[str, float] = attrs.field(factory=dict, validator=each(at_least_number(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "PBIWeights":
        return PBIWeights(self, terms)


class PBIWeights(BatchLossWeighting):
    """Gradient of d_1 + theta d_2, with the distances d_1 along the ray and d_2 from it.

    With f = L - z and the unit preferences u these are d_1 = f . u and d_2 = |f - d_1 u|, so the
    weights are u + theta (f - d_1 u) / d_2. On the ray they are u.

    >>> from mtlkit.task import Task, loss_terms
    >>> module = PBIWeights(PBI(penalty=1.0), loss_terms({"age": Task(), "height": Task()}))
    >>> module.weights(UpdateStats(torch.tensor([1.0, 3.0]), torch.arange(2))).round(decimals=3)
    tensor([0.0000, 1.4140])
    """

    def __init__(self, config: PBI, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.penalty = config.penalty
        self.preferences = nn.Buffer(preference_vector(config.preferences, terms, 1.0))
        self.ideal = nn.Buffer(preference_vector(config.ideal, terms, 0.0))

    def weights(self, stats: UpdateStats) -> Tensor:
        preferences = self.preferences[stats.indices]
        ray = preferences / torch.linalg.vector_norm(preferences)
        distance = stats.losses - self.ideal[stats.indices]
        offset = distance - (distance @ ray) * ray
        norm = torch.linalg.vector_norm(offset)
        off_ray = norm > 1e-6 * torch.linalg.vector_norm(distance)
        weights: Tensor = ray + torch.where(off_ray, self.penalty * offset / norm, 0.0)
        return weights
