"""The paper's results on all of Multi-PIE, for comparison with a study's.

Source: Yin & Liu, TIP 2018, the table of the ablation. The figures are recollections of the
published table and were not checked against it; they are anchors, not ground truth.
"""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class PaperResult:
    """Rank-1 over all poses and on three groups of them, and side tasks' accuracies, in percent."""

    rank1: float | None = None
    left: float | None = None
    front: float | None = None
    right: float | None = None
    pose: float | None = None
    illumination: float | None = None
    expression: float | None = None


def _identity(rank1: float, left: float, front: float, right: float, **side: float) -> PaperResult:
    return PaperResult(rank1=rank1, left=left, front=front, right=right, **side)


_P_CNN = _identity(79.55, 76.14, 84.87, 77.65, pose=99.80, illumination=90.58, expression=90.02)

PAPER_RESULTS: Mapping[str, PaperResult] = {
    "s-cnn": _identity(75.67, 71.51, 82.21, 73.29),
    "s-cnn-pose": PaperResult(pose=99.87),
    "s-cnn-illumination": PaperResult(illumination=96.43),
    "s-cnn-expression": PaperResult(expression=92.44),
    "s-cnn-l2": _identity(76.43, 73.31, 81.98, 73.99),
    "m-cnn-pose": _identity(78.06, 75.06, 82.91, 76.21, pose=99.78),
    "m-cnn-illumination": _identity(77.30, 74.87, 82.83, 74.21, illumination=93.57),
    "m-cnn-expression": _identity(77.76, 75.48, 82.32, 75.48, expression=90.93),
    "m-cnn-equal": _identity(
        77.59, 74.75, 82.99, 75.04, pose=99.75, illumination=88.46, expression=79.97
    ),
    "m-cnn": _identity(
        79.35, 76.60, 84.65, 76.82, pose=99.81, illumination=93.40, expression=91.47
    ),
    # one row of the paper: its text describes the first form, its released networks have the second
    "p-cnn": _P_CNN,
    "p-cnn-block": _P_CNN,
}
