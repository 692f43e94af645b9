"""What paired seeds say of a claim: supported, contradicted or undecided."""

import math
from collections.abc import Sequence
from enum import Enum
from statistics import NormalDist, fmean, stdev

import attrs

CONFIDENCE = 0.95
POWER = 0.8


class State(Enum):
    """What is shown of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


@attrs.frozen(kw_only=True)
class Part:
    """One comparison of a claim: it holds where `values`, one for each seed, are positive.

    `unit` says what a value is, such as "rank-1 of m-cnn less that of s-cnn".
    """

    unit: str
    values: Sequence[float] = ()

    @property
    def mean(self) -> float:
        """The mean over seeds; NaN without any."""
        return fmean(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; NaN for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, by Student's t; unbounded for fewer than two seeds."""
        count = len(self.values)
        if count < 2:
            return -math.inf, math.inf
        from scipy import stats

        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
        half = quantile * self.spread / math.sqrt(count)
        return self.mean - half, self.mean + half

    @property
    def state(self) -> State:
        """What the interval says of the claim that the mean is positive.

        >>> Part(unit="gain", values=(0.02, 0.03, 0.025)).state.value
        'supported'
        >>> Part(unit="gain", values=(0.02, -0.03, 0.01)).state.value
        'undecided'
        """
        if not self.values:
            return State.NOT_RUN
        low, high = self.interval
        if low > 0:
            return State.SUPPORTED
        return State.CONTRADICTED if high < 0 else State.UNDECIDED

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would show a mean of this size four times in five; None if it is 0.

        By the normal approximation n = ((z_0.975 + z_0.8) s / mean)^2, at least 3.
        """
        if len(self.values) < 2 or self.mean == 0:
            return None
        normal = NormalDist().inv_cdf
        quantiles = normal((1 + CONFIDENCE) / 2) + normal(POWER)
        return max(3, math.ceil((quantiles * self.spread / self.mean) ** 2))


def together(parts: Sequence[Part]) -> State:
    """What several parts say of a claim that needs all of them.

    >>> one, two = Part(unit="a", values=(1.0, 1.1)), Part(unit="b")
    >>> together([one, two]).value
    'not run'
    """
    states = [part.state for part in parts]
    if State.NOT_RUN in states or not states:
        return State.NOT_RUN
    if State.CONTRADICTED in states:
        return State.CONTRADICTED
    return State.UNDECIDED if State.UNDECIDED in states else State.SUPPORTED
