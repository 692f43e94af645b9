"""Power analysis: seeds needed to show a difference, and the difference that seeds can show."""

import bisect
import functools
import math

from scipy import stats
from statsmodels.stats.power import TTestPower

POWER = 0.8
"""Chance to show a true difference, the target of the number of seeds."""

MOST_SEEDS = 1000
"""Largest number of seeds to consider; larger studies are impractical."""


def seeds_needed(difference: float, std: float, alpha: float) -> int | None:
    """Return the fewest paired seeds that show a true `difference` with a chance of 80%.

    `std` is that of the paired differences, in the unit of `difference`, and `alpha` the
    level of the two-sided Student's test. None if it would take more than 1,000.

    Half a standard deviation takes 34 pairs at the usual 5%:

    >>> seeds_needed(0.5, 1.0, 0.05)
    34
    """
    power = functools.partial(_power, abs(difference), std, alpha)
    if difference == 0 or power(MOST_SEEDS) < POWER:
        return None
    return bisect.bisect_left(range(MOST_SEEDS), POWER, lo=2, key=power)


def detectable(std: float, seeds: int, alpha: float) -> float | None:
    """Return the smallest true difference that `seeds` paired seeds show with a chance of 80%.

    None with fewer than two seeds.

    >>> round(detectable(2.0, 34, 0.05), 1)
    1.0
    """
    if seeds < 2:
        return None
    low, high = 0.0, 1.0  # in deviations
    while _power(high, 1.0, alpha, seeds) < POWER:
        high *= 2
        if high > 1e6:
            return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, 1.0, alpha, seeds) >= POWER else (middle, high)
    return high * std


def _power(difference: float, std: float, alpha: float, seeds: int) -> float:
    """Return the chance to show the difference in its direction, without the other tail.

    A result in the other tail would have the wrong sign. SciPy's non-central t is sometimes NaN
    in that tail, where it is almost zero.
    """
    if seeds < 2:
        return 0.0
    effect = min(difference / max(std, 1e-9 * difference), 1e3)
    power = float(TTestPower().power(effect, seeds, alpha / 2, alternative="larger"))
    return power if math.isfinite(power) else _far_power(effect, seeds, alpha)


def _far_power(effect: float, seeds: int, alpha: float) -> float:
    """Return the power for large effects, for which the non-central t cannot be computed.

    The variation of the mean is negligible next to that of the standard deviation, which follows a
    chi-squared distribution.
    """
    freedom = seeds - 1
    threshold = float(stats.t.isf(alpha / 2, freedom))
    return float(stats.chi2.cdf(freedom * (effect * math.sqrt(seeds) / threshold) ** 2, freedom))
