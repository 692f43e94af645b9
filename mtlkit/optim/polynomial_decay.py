"""A learning rate that falls by a power of the remaining training."""

import attrs

from mtlkit.component import above, between
from mtlkit.optim.base import Schedule


@attrs.frozen(kw_only=True)
class PolynomialDecay(Schedule):
    """A fall from 1 to `floor` by a power of the training that remains; linear if `power` is 1.

    >>> PolynomialDecay(power=2.0).at(step=50, steps=100)
    0.25
    """

    power: float = attrs.field(default=1.0, validator=above(0))
    floor: float = attrs.field(default=0.0, validator=between(0, 1))

    def factor(self, progress: float) -> float:
        return float(self.floor + (1 - self.floor) * (1 - min(progress, 1.0)) ** self.power)
