"""ROC, DET and CMC charts, thinned to a number of points that a report can store."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mtlkit.evaluators import Chart, Series
from mtlkit_face.metrics.roc import Floats, Roc

POINTS = 160
"""Maximum number of points per drawn curve."""

RANKS = 20

BINS = 80
"""Bins of a drawn histogram of scores."""


def roc_and_det(curves: Mapping[str, Roc], title: str) -> Iterable[Chart]:
    """Yield the ROC chart of one or more curves, and their DET chart on logarithmic scales."""
    yield Chart(
        title=f"ROC: {title}",
        kind="line",
        x_label="FAR, share of impostors accepted",
        y_label="TAR",
        series={name: _roc_series(curve) for name, curve in curves.items()},
        y_range=(0.0, 1.0),
        comparable=True,
    )
    det = {name: _det_series(curve) for name, curve in curves.items()}
    if any(len(series.x) > 1 for series in det.values()):
        yield Chart(
            title=f"DET: {title}",
            kind="line",
            x_label="FAR, as a power of ten",
            y_label="FRR, share of genuine refused",
            series=det,
            y_log=True,
            comparable=True,
        )


def score_histogram(
    genuine: Floats,
    impostor: Floats,
    *,
    counts: tuple[Floats, Floats] | None = None,
    thresholds: Mapping[str, float] | None = None,
    title: str = "Scores of genuine and impostor pairs",
    caption: str = "",
) -> Chart:
    """Return the densities of finite `genuine` and `impostor` scores (P,), with `thresholds`.

    `counts` are the numbers of each score, one each by default. A threshold is a vertical line.
    """
    kinds = {}
    for number, (name, score) in enumerate((("genuine", genuine), ("impostor", impostor))):
        count = np.ones(len(score)) if counts is None else counts[number].astype(np.float64)
        used = np.isfinite(score) & (count > 0)
        if used.any():
            kinds[name] = score[used], count[used]
    every = np.concatenate([score for score, _ in kinds.values()]) if kinds else np.zeros(1)
    low, high = float(every.min()), float(every.max())
    edges = np.linspace(low, max(high, low + 0.01), BINS + 1)
    centers = tuple(((edges[:-1] + edges[1:]) / 2).tolist())
    series = {}
    for name, (score, count) in kinds.items():
        density = np.histogram(score, edges, weights=count, density=True)[0]
        series[name] = Series(x=centers, y=tuple(density.tolist()))
    top = max((max(drawn.y) for drawn in series.values()), default=1.0)
    for name, value in (thresholds or {}).items():
        if math.isfinite(value):
            series[name] = Series(x=(value, value), y=(0.0, top))
    return Chart(
        title=title,
        kind="area",
        x_label="score",
        y_label="density",
        series=series,
        caption=caption,
    )


def cmc_chart(rates: Mapping[str, Sequence[float]], title: str) -> Chart:
    """Return the CMC chart: the identification rate at ranks 1, 2, ... of each matching method."""
    return Chart(
        title=title,
        kind="line",
        x_label="rank",
        y_label="share of probes found",
        series={
            name: Series(x=tuple(range(1, len(values) + 1)), y=tuple(values))
            for name, values in rates.items()
        },
        y_range=(0.0, 1.0),
        comparable=True,
    )


def _roc_series(curve: Roc) -> Series:
    """Return the curve with half of its points at low FAR and half evenly spaced."""
    points = len(curve.far)
    low = np.geomspace(1, points, POINTS // 2).astype(int) - 1
    even = np.linspace(0, points - 1, POINTS // 2).astype(int)
    kept = np.unique(np.concatenate([low, even]))
    return Series(x=tuple(curve.far[kept].tolist()), y=tuple(curve.tar[kept].tolist()))


def _det_series(curve: Roc) -> Series:
    """Return the points at which both error rates are positive, so that their logarithms exist."""
    positive = np.flatnonzero((curve.far > 0) & (curve.tar < 1))
    # evenly spaced on the logarithmic axis
    indices = np.geomspace(1, max(len(positive), 1), POINTS).astype(int) - 1
    kept = positive[np.unique(indices)] if len(positive) else positive
    return Series(
        x=tuple(math.log10(far) for far in curve.far[kept]),
        y=tuple((1 - curve.tar[kept]).tolist()),
    )
