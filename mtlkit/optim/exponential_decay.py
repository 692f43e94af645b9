"""A learning rate that falls by the same ratio in every update."""

import attrs

from mtlkit.component import above
from mtlkit.optim.base import Schedule


@attrs.frozen(kw_only=True)
class ExponentialDecay(Schedule):
    """A fall by the same ratio in every update, from 1 to `final` at the end of training.

    >>> round(ExponentialDecay(final=0.01).at(step=50, steps=100), 6)
    0.1
    """

    final: float = attrs.field(default=0.01, validator=above(0))

    def factor(self, progress: float) -> float:
        return float(self.final**progress)
