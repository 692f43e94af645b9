"""Open-set identification: TPIR at a given FPIR.

A probe whose person is in the gallery is mated, any other is non-mated. FPIR is the fraction of
non-mated probes whose best score is at least the threshold. TPIR (also called DIR; FNIR is
1 - TPIR) is the fraction of mated probes whose person is at rank 1 with a score of at least the
threshold. NIST IR 8009; Grother & Ngan, FRVT.
"""

import attrs
import numpy as np

from mtlkit_face.metrics.operating_point import OperatingRule
from mtlkit_face.metrics.rank import SearchResult
from mtlkit_face.metrics.roc import Floats, Roc, SortedScores


@attrs.frozen(kw_only=True)
class OpenSetPoint:
    """TPIR and FPIR at the threshold that was chosen for a target FPIR."""

    tpir: float
    fpir: float
    threshold: float


def tpir_at_fpir(
    result: SearchResult, target: float, rule: OperatingRule, weight: Floats | None = None
) -> OpenSetPoint:
    """Return TPIR at the threshold that `rule` chooses for the FPIR `target`.

    NaN without mated or without non-mated probes.
    """
    point = rule(tpir_curve(result, weight), target)
    return OpenSetPoint(tpir=point.tar, fpir=point.far, threshold=point.threshold)


def tpir_curve(result: SearchResult, weight: Floats | None = None) -> Roc:
    """Return TPIR (as `tar`) over FPIR (as `far`) at every threshold.

    A mated probe that misses rank 1 counts at no finite threshold, so the curve may end below 1.
    """
    mate = np.where(result.rank == 1, result.mate_score, -np.inf)
    score = np.where(result.mated, mate, result.best)
    return SortedScores(score, result.mated).roc(weight)
