"""Weights by look-ahead (Auto-Lambda; Liu et al., TMLR 2022).

Paper: Shikun Liu, Stephen James, Andrew J. Davison and Edward Johns, "Auto-Lambda: Disentangling
Dynamic Task Relationships", TMLR 2022.
"""

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.component import Problem, above, member_of
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import GradientLocation, GradientWeighting
from mtlkit.weightings.kinds import Lookahead, UpdateStats, WeightingModule
from mtlkit.weightings.solvers.adam import AdamState


@attrs.frozen(kw_only=True)
class AutoLambda(GradientWeighting):
    """Weights by whether a step along a task helps the main tasks (Liu et al., TMLR 2022, eq. 3).

    The samples of an update are divided into two draws: a step is looked at on the first and judged
    by the main losses on the second. `start` is each weight at first, `learning_rate` that of the
    weights. Where every task is a main task, all judge.
    """

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    start: float = attrs.field(default=0.1, validator=above(0))
    learning_rate: float = attrs.field(default=1e-3, validator=above(0))

    @property
    def remembers(self) -> bool:
        return True

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if all(term.role is not Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                "AutoLambda asks what helps the main tasks and found none; give one task "
                "`role: main`",
            )
        if self.at is GradientLocation.LAST_SHARED_LAYER:
            yield Problem(
                ("weighting", "at"),
                "AutoLambda looks at a step of all that is shared; use `at: parameters`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return AutoLambdaWeights(self, terms)


class AutoLambdaWeights(Lookahead):
    """Weights that descend on the main losses after a step along the weighted sum (eq. 3).

    With the step theta - rate * sum_t w_t g_t, the slope of a main loss in w_t is -rate g_t . h,
    h being that loss's gradient after the step and on other samples: no second derivative is left
    out. The factor `rate` is left out, for Adam would take it out again. No weight is negative.
    """

    values: Tensor
    main: Tensor

    def __init__(self, config: AutoLambda, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.register_buffer("values", torch.full((len(terms),), config.start))
        main = [float(term.role is Role.MAIN) for term in terms]
        self.register_buffer("main", torch.tensor(main), persistent=False)
        self.adam = AdamState(len(terms), config.learning_rate)

    def current_weights(self, indices: Tensor) -> Tensor:
        return self.values[indices]

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        slope = -(gramian @ self.main[stats.indices].to(gramian))
        self.adam.descend(self.values, slope.to(self.values), stats.indices)
        self.values.clamp_(min=0)
        return self.values[stats.indices].to(gramian)
