"""Charts of ROC, DET and CMC curves, with few enough points to be kept in a report."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mtlkit.report import Chart, Series
from mtlkit_face.metrics.roc import Roc

POINTS = 160
"""Points of a drawn curve."""

RANKS = 20


def roc_and_det(curves: Mapping[str, Roc], title: str) -> Iterable[Chart]:
    """The ROC, and the DET on logarithmic scales, of one curve or several."""
    yield Chart(
        title=f"ROC: {title}",
        kind="line",
        x_label="FAR, share of impostors accepted",
        y_label="TAR",
        series={name: _drawn(curve) for name, curve in curves.items()},
        y_range=(0.0, 1.0),
        comparable=True,
    )
    det = {name: _det(curve) for name, curve in curves.items()}
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


def cmc_chart(rates: Mapping[str, Sequence[float]], title: str) -> Chart:
    """The share of probes found by each rank, from 1 on, of one way of matching or several."""
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


def _drawn(curve: Roc) -> Series:
    """Half of the points where few impostors are accepted, half evenly."""
    points = len(curve.far)
    low = np.geomspace(1, points, POINTS // 2).astype(int) - 1
    even = np.linspace(0, points - 1, POINTS // 2).astype(int)
    kept = np.unique(np.concatenate([low, even]))
    return Series(x=tuple(curve.far[kept].tolist()), y=tuple(curve.tar[kept].tolist()))


def _det(curve: Roc) -> Series:
    """Where both errors are there: a logarithm has no zero."""
    there = np.flatnonzero((curve.far > 0) & (curve.tar < 1))
    # evenly spaced in the logarithm, which is what the eye sees
    wanted = np.geomspace(1, max(len(there), 1), POINTS).astype(int) - 1
    kept = there[np.unique(wanted)] if len(there) else there
    return Series(
        x=tuple(math.log10(far) for far in curve.far[kept]),
        y=tuple((1 - curve.tar[kept]).tolist()),
    )
