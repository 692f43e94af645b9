"""A learning rate that drops at given fractions of training."""

import attrs

from mtlkit.component import above
from mtlkit.optim.base import Schedule


@attrs.frozen(kw_only=True)
class Steps(Schedule):
    """A drop by `factor_each` at each of the given fractions of training.

    The default is the schedule of Yin & Liu (TIP 2018): drops at epochs 10, 15 and 19 of 20.
    """

    at_progress: tuple[float, ...] = (0.5, 0.75, 0.95)
    factor_each: float = attrs.field(default=0.1, validator=above(0))

    def factor(self, progress: float) -> float:
        return self.factor_each ** sum(progress >= drop for drop in self.at_progress)
