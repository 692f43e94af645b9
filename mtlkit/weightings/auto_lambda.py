"""Weights by look-ahead (Auto-Lambda; Liu et al., TMLR 2022)."""

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.configs import AutoLambda
from mtlkit.weightings.kinds import GramianWeighting, Known, Lookahead
from mtlkit.weightings.solvers.adam import AdamState


class AutoLambdaWeights(GramianWeighting, Lookahead):
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

    def present_weights(self, places: Tensor) -> Tensor:
        return self.values[places]

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        slope = -(gramian @ self.main[known.places].to(gramian))
        self.adam.descend(self.values, slope.to(self.values), known.places)
        self.values.clamp_(min=0)
        return self.values[known.places].to(gramian)
