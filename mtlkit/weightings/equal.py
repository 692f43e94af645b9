"""The same weight for every side task."""

from collections.abc import Iterable, Sequence

import attrs

from mtlkit.component import Problem, above, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.fixed import FixedWeights
from mtlkit.weightings.term_checks import heavy_side_notes


@attrs.frozen(kw_only=True)
class Equal(Weighting):
    """The same weight for every side task, and weight 1 for every main task.

    `total` is divided equally among the side tasks: 0.1 over three is 0.033 each (the "equal" row
    of Yin & Liu, TIP 2018). With 1.0 or more, a main task with few samples for each class may stay
    near chance level. None gives every task weight 1: the plain sum.
    """

    total: float | None = attrs.field(default=None, validator=optional(above(0)))

    def notes(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from heavy_side_notes(terms, self.total)

    def build(self, terms: tuple[LossTerm, ...], features: int) -> FixedWeights:
        side = sum(term.role is Role.SIDE for term in terms)
        weight = 1.0 if self.total is None else self.total / max(side, 1)
        return FixedWeights([1.0 if term.role is Role.MAIN else weight for term in terms])
