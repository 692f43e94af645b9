"""A learning rate that falls by half a cosine.

Paper: Ilya Loshchilov and Frank Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
ICLR 2017.
"""

import math

import attrs

from mtlkit.component import between
from mtlkit.optim.base import Schedule


@attrs.frozen(kw_only=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to `floor` (Loshchilov & Hutter, ICLR 2017).

    >>> Cosine().at(step=50, steps=100)
    0.5
    """

    floor: float = attrs.field(default=0.0, validator=between(0, 1))

    def factor(self, progress: float) -> float:
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
