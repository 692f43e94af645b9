"""Means with intervals, and tests of paired differences, based on SciPy.

Bootstrap intervals describe; Student's paired test decides. With five seeds Wilcoxon's signed ranks
cannot reach p < 0.0625 and a bootstrap interval of 95% covers the true mean in about 83 of 100
cases, whereas Student's keeps its level on skewed, unequal and heavy-tailed differences too
(docs/explanation/compare-statistics.md has the figures).
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from mtlkit.report.blocks import Estimate as Estimate

LEVEL = 0.95
"""Confidence level of every interval."""

ALPHA = 0.05
"""Chance of one or more false differences in a study without any true difference."""

RESAMPLES = 4999


def bootstrap_mean(values: Sequence[float]) -> Estimate:
    """Return the mean with its bias-corrected and accelerated bootstrap interval (Efron, 1987).

    The resampling has a fixed seed, so that reports are reproducible.

    >>> bootstrap_mean([2.0])
    Estimate(mean=2.0, low=None, high=None, count=1)
    >>> estimate = bootstrap_mean([1.0, 2.0, 3.0, 4.0, 6.0])
    >>> estimate.mean, estimate.low < 2.2 < estimate.mean < 4.5 < estimate.high
    (3.2, True)
    """
    mean, count = math.fsum(values) / len(values), len(values)
    if count == 1:
        return Estimate(mean)
    if _constant(values):
        return Estimate(mean, mean, mean, count)
    return Estimate(mean, *_bca(tuple(values)), count)


@functools.lru_cache(maxsize=4096)  # a table and three figures use the same values
def _bca(values: tuple[float, ...]) -> tuple[float, float]:
    bounds = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(bounds.low), float(bounds.high)


def student_mean(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's interval, which matches the test of `paired_test`.

    >>> estimate = student_mean([1.0, 2.0, 3.0])
    >>> round(estimate.low, 3), round(estimate.high, 3)
    (-0.484, 4.484)
    """
    mean, count = math.fsum(values) / len(values), len(values)
    if count == 1:
        return Estimate(mean)
    if _constant(values):
        return Estimate(mean, mean, mean, count)
    bounds = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return Estimate(mean, float(bounds.low), float(bounds.high), count)


def paired_test(differences: Sequence[float]) -> float:
    """Return the two-sided p of Student's test that paired differences have mean zero.

    1 for fewer than two differences or constant ones: chance cannot be estimated from them.

    >>> round(paired_test([1.0, 2.0, 3.0]), 4), paired_test([0.5, 0.5, 0.5])
    (0.0742, 1.0)
    """
    if len(differences) < 2 or _constant(differences):
        return 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted to control the family-wise error rate (Holm, 1979).

    A test checks this implementation against statsmodels' `multipletests`, which runs the garbage
    collector at each call: 0.1 s, with hundreds of calls per report.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return [float(p) for p in adjusted]


def std(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample; 0 for fewer than two values.

    >>> std([1.0, 3.0])
    1.4142135623730951
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _constant(values: Sequence[float]) -> bool:
    """Return whether the values differ by rounding at most."""
    spread = max(values) - min(values)
    return spread <= 1e-12 * max(1.0, max(map(abs, values)))
