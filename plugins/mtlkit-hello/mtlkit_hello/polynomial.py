"""The schedule `polynomial`."""

import attrs

from mtlkit.optim import Schedule
from mtlkit.plugins import above


@attrs.frozen(kw_only=True)
class Polynomial(Schedule):
    """A learning rate that falls to 0 by the power `power` of the remaining training."""

    power: float = attrs.field(default=0.9, validator=above(0))

    def factor(self, progress: float) -> float:
        factor: float = (1 - progress) ** self.power
        return factor
