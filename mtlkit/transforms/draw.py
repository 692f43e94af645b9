"""Random numbers of one sample, and the other samples that it may be mixed with."""

import random
from collections.abc import Callable

from mtlkit.errors import DataError
from mtlkit.transforms.sample import Sample


def _alone(_: "Draw") -> Sample:
    raise DataError("transforms: got one sample, expected a training split to draw another from")


class Draw:
    """Random numbers for one sample in one epoch, a function of `seed` alone.

    >>> draw = Draw(3)
    >>> again = Draw(3)
    >>> draw.uniform(0, 1) == again.uniform(0, 1)
    True
    """

    def __init__(self, seed: int, other: Callable[["Draw"], Sample] = _alone) -> None:
        self._random = random.Random(seed)
        self._other = other

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._random.random() < probability

    def uniform(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`."""
        return self._random.uniform(low, high)

    def integer(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return self._random.randint(low, high)

    def beta(self, alpha: float) -> float:
        """Return a number between 0 and 1 from the distribution Beta(`alpha`, `alpha`)."""
        return self._random.betavariate(alpha, alpha)

    def other(self) -> Sample:
        """Return another training sample at random, after the earlier transforms of the list."""
        return self._other(self)
