"""Uncertainty of a result: the published spread over folds, and bootstrap intervals over people.

Folds or splits that share people are not independent, and neither are pairs that share a person.
The published standard error is therefore reported together with a bootstrap interval over people:
people are drawn with replacement; a genuine pair is weighted by the draws of its person, an
impostor pair by the product of the draws of both (Bolle et al., Error analysis of pattern
recognition systems: the subsets bootstrap, CVIU 2004). If the people are unknown, pairs are
resampled instead, and the result names that method.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Floats

REPLICATES = 2000
"""Default number of bootstrap replicates: an end of a 95% interval is the 50th most extreme one."""

_Z = 1.959963984540054  # 95%, two-sided

Interval = tuple[float, float]


def mean_of_finite(values: Sequence[float]) -> float:
    """Return the mean of the finite values, NaN if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def std(values: Sequence[float], *, population: bool = False) -> float:
    """Return the standard deviation of the finite values, NaN if there are fewer than two.

    With `population` the divisor is n, as in the common toolkits, otherwise n - 1.
    """
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return math.nan
    return float(np.std(finite, ddof=0 if population else 1))


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean over folds, as published for LFW: std / sqrt(folds)."""
    finite = [value for value in values if math.isfinite(value)]
    return std(finite) / math.sqrt(len(finite)) if finite else math.nan


def wilson(hits: int, trials: int) -> Interval:
    """Return Wilson's 95% interval of the proportion `hits` / `trials` of independent trials.

    >>> [round(end, 4) for end in wilson(5988, 6000)]
    [0.9965, 0.9989]
    """
    if trials == 0:
        return math.nan, math.nan
    rate, z2 = hits / trials, _Z**2
    center = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, center - half), min(1.0, center + half)


def resamples(people: int, replicates: int, seed: int = 0) -> Iterator[Floats]:
    """Yield the number of draws of each person, (people,), in each replicate."""
    random = np.random.default_rng(seed)
    even = np.full(people, 1 / people)
    for _ in range(replicates):
        yield random.multinomial(people, even).astype(np.float64)


def pair_weight(
    drawn: Floats, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Floats:
    """Return the weight (P,) in a replicate of each pair of the persons `first` and `second`."""
    return np.where(first == second, drawn[first], drawn[first] * drawn[second])


def percentiles(
    statistics: Callable[[Floats], Sequence[float]], drawn: Iterable[Floats]
) -> list[Interval]:
    """Return the 95% percentile interval over replicates of each of the `statistics`.

    Values that are not finite are skipped: a replicate without impostors has no FAR.
    """
    values = np.array([statistics(replicate) for replicate in drawn])
    return [_ends(column[np.isfinite(column)]) for column in values.T]


def _ends(values: Floats) -> Interval:
    if not len(values):
        return math.nan, math.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
