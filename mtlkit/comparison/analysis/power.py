"""How many seeds it takes to show a difference, and what difference these seeds can show."""

import math

from scipy import stats
from statsmodels.stats.power import TTestPower

POWER = 0.8
"""The chance to show a difference that is there, for which seeds are counted."""

MOST_SEEDS = 1000
"""Beyond this a number of seeds is not counted: nobody runs them."""


def seeds_needed(difference: float, std: float, alpha: float) -> int | None:
    """The fewest paired seeds with which a true `difference` is shown with a chance of 80%.

    `std` is that of the paired differences, in the unit of `difference`, and `alpha` the
    level of the two-sided Student's test. None where it would take more than 1,000.

    Half a standard deviation takes 34 pairs at the usual 5%:

    >>> seeds_needed(0.5, 1.0, 0.05)
    34
    """
    if difference == 0 or _power(abs(difference), std, MOST_SEEDS, alpha) < POWER:
        return None
    low, high = 1, MOST_SEEDS  # too few; enough
    while high - low > 1:
        middle = (low + high) // 2
        enough = _power(abs(difference), std, middle, alpha) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable(std: float, seeds: int, alpha: float) -> float | None:
    """The smallest true difference that `seeds` paired seeds show with a chance of 80%.

    None with fewer than two seeds.

    >>> round(detectable(2.0, 34, 0.05), 1)
    1.0
    """
    if seeds < 2:
        return None
    low, high = 0.0, 1.0  # in deviations
    while _power(high, 1.0, seeds, alpha) < POWER:
        high *= 2
        if high > 1e6:
            return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, 1.0, seeds, alpha) >= POWER else (middle, high)
    return high * std


def _power(difference: float, std: float, seeds: int, alpha: float) -> float:
    """The chance to show it in its own direction: the other tail shows nothing that is there.

    SciPy's non-central t is also NaN in that tail, here and there, where it is next to nothing.
    """
    if seeds < 2:
        return 0.0
    effect = difference / max(std, 1e-9 * difference)
    effect = min(effect, 1e3)
    found = float(TTestPower().power(effect, seeds, alpha / 2, alternative="larger"))
    return found if math.isfinite(found) else _far_power(effect, seeds, alpha)


def _far_power(effect: float, seeds: int, alpha: float) -> float:
    """The power where the non-central t cannot be computed, far out: there the mean's own chance is
    nothing beside that of the standard deviation, which has a chi-squared.
    """
    freedom = seeds - 1
    threshold = float(stats.t.isf(alpha / 2, freedom))
    return float(stats.chi2.cdf(freedom * (effect * math.sqrt(seeds) / threshold) ** 2, freedom))
