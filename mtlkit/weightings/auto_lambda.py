"""Weights learned by a lookahead step (Auto-Lambda; Liu et al., TMLR 2022).

Paper: Shikun Liu, Stephen James, Andrew J. Davison and Edward Johns, "Auto-Lambda: Disentangling
Dynamic Task Relationships", TMLR 2022.
"""

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import Problem, above
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import CrossSampleWeighting, GradientLocation
from mtlkit.weightings.kinds import LookaheadWeighting, UpdateStats
from mtlkit.weightings.solvers.adam import AdamState


@attrs.frozen(kw_only=True)
class AutoLambda(CrossSampleWeighting):
    """Weights that minimize the main losses after a trial step (Liu et al., TMLR 2022, eq. 3).

    The samples of an update are split into two draws: the trial step is computed on the first and
    evaluated by the main losses on the second. `start` is the initial weight of each task and
    `learning_rate` that of the weights.
    """

    compares_steps = True

    start: float = attrs.field(default=0.1, validator=above(0))
    learning_rate: float = attrs.field(default=1e-3, validator=above(0))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if all(term.role is not Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                "got no main task, expected at least 1 for AutoLambda; give one task `role: main`",
            )
        if self.at is GradientLocation.LAST_SHARED_LAYER:
            yield Problem(
                ("weighting", "at"),
                "AutoLambda needs a trial step of all shared parameters; use `at: parameters`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "AutoLambdaWeights":
        return AutoLambdaWeights(self, terms)


class AutoLambdaWeights(LookaheadWeighting):
    """Weights that descend on the main losses after a step along the weighted sum (eq. 3).

    With the step theta - rate * sum_t w_t g_t, the slope of a main loss in w_t is -rate g_t . h,
    where h is that loss's gradient after the step on other samples. This is exact: no second
    derivative is omitted. The factor `rate` is omitted because Adam is invariant to it. Weights are
    clamped at 0.
    """

    def __init__(self, config: AutoLambda, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.values = nn.Buffer(torch.full((len(terms),), config.start))
        main = [float(term.role is Role.MAIN) for term in terms]
        self.main = nn.Buffer(torch.tensor(main), persistent=False)
        self.adam = AdamState(len(terms), config.learning_rate)

    def current_weights(self, indices: Tensor) -> Tensor:
        return self.values[indices]

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        slope = -(gramian @ self.main[stats.indices].to(gramian))
        self.adam.descend(self.values, slope.to(self.values), stats.indices)
        self.values.clamp_(min=0)
        return self.values[stats.indices].to(gramian)
