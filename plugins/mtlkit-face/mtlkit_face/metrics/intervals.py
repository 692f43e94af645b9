"""How sure a result is: what is published (spread over folds), and intervals that hold more widely.

Folds or splits that share people are not independent, and pairs that share a person neither. So
beside the standard error as published an interval is given by resampling people: every person is
drawn as often as chance has it, a genuine pair counts as often as its person, an impostor pair as
often as both (Bolle et al., Error analysis of pattern recognition systems: the subsets bootstrap,
CVIU 2004). Where nothing is known of the people, pairs are resampled, and that is said.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Floats

REPLICATES = 400
"""How often a bootstrap draws: enough for the ends of a 95% interval, which it moves a little."""

_Z = 1.959963984540054  # 95%, two-sided

Interval = tuple[float, float]


def mean_of_finite(values: Sequence[float]) -> float:
    """The mean over the folds that have a value; NaN without any."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def deviation(values: Sequence[float], *, population: bool = False) -> float:
    """The standard deviation over folds: of a sample, or as the common kits have it, of all."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return math.nan
    return float(np.std(known, ddof=0 if population else 1))


def standard_error(values: Sequence[float]) -> float:
    """The standard error of the mean over folds, as published for LFW: std / sqrt(folds)."""
    known = [value for value in values if math.isfinite(value)]
    return deviation(known) / math.sqrt(len(known)) if known else math.nan


def wilson(hits: int, trials: int) -> Interval:
    """Wilson's 95% interval of a share, for independent trials.

    >>> [round(end, 4) for end in wilson(5988, 6000)]
    [0.9965, 0.9989]
    """
    if trials == 0:
        return math.nan, math.nan
    share, z2 = hits / trials, _Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, centre - half), min(1.0, centre + half)


def resamples(people: int, seed: int = 0, replicates: int = REPLICATES) -> Iterator[Floats]:
    """How often each of `people` is drawn, (people,), in each replicate; the same for a seed."""
    random = np.random.default_rng(seed)
    even = np.full(people, 1 / people)
    for _ in range(replicates):
        yield random.multinomial(people, even).astype(np.float64)


def pair_weight(
    drawn: Floats, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Floats:
    """How often each pair (P,) of persons `first` and `second` counts in a replicate."""
    return np.where(first == second, drawn[first], drawn[first] * drawn[second])


def percentiles(
    statistics: Callable[[Floats], Sequence[float]], drawn: Iterable[Floats]
) -> list[Interval]:
    """The 95% percentile interval of each of some statistics over replicates.

    Replicates without a value are left out: one that drew no impostor has no FAR.
    """
    found = np.array([statistics(each) for each in drawn])
    return [_ends(column[np.isfinite(column)]) for column in found.T]


def _ends(values: Floats) -> Interval:
    if not len(values):
        return math.nan, math.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
