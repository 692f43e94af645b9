"""Exact Pareto optimal search (EPO; Mahapatra & Rajan, ICML 2020).

Paper: Debabrata Mahapatra and Vaibhav Rajan, "Multi-Task Learning with User Preferences: Gradient
Descent with Controlled Ascent in Pareto Optimization", ICML 2020.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, each
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, RequiresPositiveLosses, UpdateStats
from mtlkit.weightings.solvers.linear_program import maximize_on_simplex
from mtlkit.weightings.solvers.preferences import preference_vector


@attrs.frozen(kw_only=True)
class EPO(GradientWeighting):
    """Descent to the Pareto optimum on a ray of preferences (EPO; Mahapatra & Rajan, ICML 2020).

    `preferences` (the paper's r), by task name with default 1, ask for losses with equal products
    r_t L_t: a task of twice the preference ends with half the loss. While the products differ by
    more than `tolerance`, measured by their divergence from uniform (eq. 13), losses are brought to
    the ray, and those below it may grow; then all descend.
    """

    options_by_loss = ("preferences",)

    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    tolerance: float = attrs.field(default=1e-4, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "EPOWeights":
        return EPOWeights(self, terms)


class EPOWeights(GramianWeighting, RequiresPositiveLosses):
    """Weights on the simplex that solve the linear program of eq. 24.

    With the products r_t L_t, their fractions q_t and the divergence m = sum_t q_t log(T q_t), the
    anchoring direction has the coefficients a_t = r_t (log(T q_t) - m). Weights w maximize w . G a,
    such that G w is at least 0 for the largest product and at least G a for losses that the
    direction raises. On the ray, w maximizes the sum of G w, such that no loss grows.

    >>> from mtlkit.task import Task, loss_terms
    >>> module = EPOWeights(EPO(), loss_terms({"age": Task(), "height": Task()}))
    >>> stats = UpdateStats(torch.tensor([3.0, 1.0]), torch.arange(2))
    >>> module(torch.eye(2, dtype=torch.float64), stats).round(decimals=3).tolist()
    [1.0, 0.0]
    """

    def __init__(self, config: EPO, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.tolerance = config.tolerance
        self.preferences = nn.Buffer(preference_vector(config.preferences, terms, 1.0))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        preferences = self.preferences[stats.indices].to(gramian)
        products = preferences * stats.positive_losses.to(gramian)
        logs = (products / products.sum() * len(products)).log()
        divergence = (products / products.sum() * logs).sum()
        balanced = divergence <= self.tolerance
        toward = gramian @ torch.where(balanced, 1.0, preferences * (logs - divergence))
        helped = toward > 0
        largest = products >= products.max()
        # entries of G w are at least -max |G|, so the bound of twice that constrains nothing
        free = helped & ~largest & helped.any()
        lower = torch.where(free, -2 * gramian.abs().max(), torch.where(helped, 0.0, toward))
        lower = torch.where(largest | balanced | ~helped.any(), 0.0, lower)
        return maximize_on_simplex(toward, gramian, lower)
