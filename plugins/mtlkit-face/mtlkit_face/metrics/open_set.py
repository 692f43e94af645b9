"""Open-set search: how many probes are found where few strangers may be taken for somebody.

A stranger, a probe without a mate, is a false alarm where its best score is at least the
threshold; FPIR is the share of strangers that are. A mated probe is found where its person is at
rank 1 with a score of at least the threshold; TPIR is the share of mated probes that are (also
called DIR; FNIR is 1 - TPIR). NIST IR 8009 and Grother & Ngan, FRVT.
"""

import attrs
import numpy as np

from mtlkit_face.metrics.operating_point import OperatingRule
from mtlkit_face.metrics.rank import SearchResult
from mtlkit_face.metrics.roc import Floats, Roc, SortedScores


@attrs.frozen(kw_only=True)
class Alarm:
    """TPIR at a threshold that was chosen for a target FPIR, and the FPIR that it has."""

    tpir: float
    fpir: float
    threshold: float


def tpir_at_fpir(
    found: SearchResult, target: float, rule: OperatingRule, weight: Floats | None = None
) -> Alarm:
    """TPIR at the threshold that `rule` chooses for `target`; NaN without strangers or mates."""
    at = rule(tpir_curve(found, weight), target)
    return Alarm(tpir=at.tar, fpir=at.far, threshold=at.threshold)


def tpir_curve(found: SearchResult, weight: Floats | None = None) -> Roc:
    """TPIR (as `tar`) over FPIR (as `far`) at every threshold.

    A probe that is not at rank 1 is found at no finite threshold: the curve ends below 1 there.
    """
    score = np.where(found.mated, np.where(found.rank == 1, found.own, -np.inf), found.best)
    return SortedScores(score, found.mated).roc(weight)
