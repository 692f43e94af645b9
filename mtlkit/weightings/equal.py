"""The same weight for every side task."""

import attrs

from mtlkit.component import above, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.fixed import FixedWeights
from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class Equal(Weighting):
    """The same weight for every side task, and weight 1 for every main task.

    `total` is divided equally among the side tasks: 0.1 over three is 0.033 each (the "equal" row
    of Yin & Liu, TIP 2018). None gives every task weight 1: the plain sum.
    """

    total: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        side = sum(term.role is Role.SIDE for term in terms)
        weight = 1.0 if self.total is None else self.total / max(side, 1)
        return FixedWeights([1.0 if term.role is Role.MAIN else weight for term in terms])
