"""A learning rate that rises and falls once.

Paper: Leslie N. Smith and Nicholay Topin, "Super-Convergence: Very Fast Training of Neural Networks
Using Large Learning Rates", 2019.
"""

import math

import attrs

from mtlkit.component import at_least_number, below
from mtlkit.optim.base import Schedule


@attrs.frozen(kw_only=True)
class OneCycle(Schedule):
    """A rise from 1 / `start_divisor` to 1, then a fall to 1 / `end_divisor` (Smith & Topin 2019).

    `rise` is the fraction of training in which it rises; both parts are half cosines.

    >>> OneCycle(rise=0.25).at(step=25, steps=100)
    1.0
    """

    rise: float = attrs.field(default=0.3, validator=below(1))
    start_divisor: float = attrs.field(default=25.0, validator=at_least_number(1))
    end_divisor: float = attrs.field(default=1e4, validator=at_least_number(1))

    def factor(self, progress: float) -> float:
        if progress < self.rise:
            return _between(1 / self.start_divisor, 1.0, progress / self.rise)
        return _between(1.0, 1 / self.end_divisor, (progress - self.rise) / (1 - self.rise))


def _between(start: float, end: float, progress: float) -> float:
    """Return the value of a half cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
