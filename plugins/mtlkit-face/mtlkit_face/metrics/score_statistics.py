"""Summary of the scores of one kind of pairs: genuine or impostor."""

import attrs
import numpy as np

from mtlkit_face.metrics.roc import Floats

_LOW, _HIGH = 0.01, 0.99


@attrs.frozen(kw_only=True)
class ScoreStatistics:
    """Number of scores, their mean and standard deviation, and the quantiles 1%, 50% and 99%."""

    count: int
    mean: float
    std: float
    low: float
    median: float
    high: float


def score_statistics(score: Floats, count: Floats | None = None) -> ScoreStatistics:
    """Summarize finite scores (P,), each of which occurred `count` (P,) times; once if None.

    NaN without a finite score. A quantile is a score that occurred.

    >>> score_statistics(np.array([0.0, 1.0]), np.array([3, 1])).mean
    0.25
    """
    counts = np.ones(len(score)) if count is None else np.asarray(count, np.float64)
    used = np.isfinite(score) & (counts > 0)
    score, counts = score[used], counts[used]
    total = counts.sum()
    if not total:
        nan = float("nan")
        return ScoreStatistics(count=0, mean=nan, std=nan, low=nan, median=nan, high=nan)
    mean = float((score * counts).sum() / total)
    order = np.argsort(score)
    reached = np.cumsum(counts[order]) / total
    low, median, high = (
        float(score[order][min(int(np.searchsorted(reached, part)), len(order) - 1)])
        for part in (_LOW, 0.5, _HIGH)
    )
    std = float(np.sqrt((counts * (score - mean) ** 2).sum() / total))
    return ScoreStatistics(count=int(total), mean=mean, std=std, low=low, median=median, high=high)
