"""Smooth maximum of the losses (STCH; Lin et al., ICML 2024).

Paper: Xi Lin, Xiaoyuan Zhang, Zhiyuan Yang, Fei Liu, Zhenkun Wang and Qingfu Zhang, "Smooth
Tchebycheff Scalarization for Multi-Objective Optimization", ICML 2024.
"""

from collections.abc import Mapping

import attrs
from torch import Tensor, nn

from mtlkit.component import above, at_least_number, each
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, UpdateStats
from mtlkit.weightings.solvers.preferences import preference_vector


@attrs.frozen(kw_only=True)
class STCH(Weighting):
    """Smooth maximum of the losses (STCH; Lin et al., ICML 2024, eq. 12).

    `smoothing` is the paper's mu: near 0 only the largest loss counts. `ideal` losses, by task name
    with default 0, are subtracted first; then `preferences`, by task name with default 1 / T,
    multiply the difference.
    """

    min_tasks = 2
    options_by_loss = ("preferences", "ideal")

    smoothing: float = attrs.field(default=1.0, validator=above(0))
    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    ideal: Mapping[str, float] = attrs.field(factory=dict, validator=each(at_least_number(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "STCHWeights":
        return STCHWeights(self, terms)


class STCHWeights(BatchLossWeighting):
    """Gradient of mu log sum_t exp(p_t (L_t - z_t) / mu), the smooth Tchebycheff (eq. 12).

    That is p_t times the softmax over tasks of p_t (L_t - z_t) / mu, with preferences p, ideal
    losses z and smoothing mu.
    """

    def __init__(self, config: STCH, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.smoothing = config.smoothing
        preferences = preference_vector(config.preferences, terms, 1 / len(terms))
        self.preferences = nn.Buffer(preferences)
        self.ideal = nn.Buffer(preference_vector(config.ideal, terms, 0.0))

    def weights(self, stats: UpdateStats) -> Tensor:
        preferences = self.preferences[stats.indices]
        distance = preferences * (stats.losses - self.ideal[stats.indices])
        return preferences * (distance / self.smoothing).softmax(dim=0)
