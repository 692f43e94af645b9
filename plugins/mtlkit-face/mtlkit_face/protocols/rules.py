"""The rules of each mode, strict and compatible."""

import attrs

from mtlkit_face.metrics.fold_accuracy import ThresholdRule, grid, midpoint
from mtlkit_face.metrics.operating_point import OperatingRule, budget, nearest
from mtlkit_face.protocols.mode import Mode


@attrs.frozen(kw_only=True)
class Rules:
    """Threshold and operating-point rules, and the kind of standard deviation over folds."""

    threshold: ThresholdRule
    operating: OperatingRule
    population: bool


RULES = {
    Mode.STRICT: Rules(threshold=midpoint, operating=budget, population=False),
    Mode.COMPATIBLE: Rules(threshold=grid, operating=nearest, population=True),
}

_MATCHING = {
    (Mode.STRICT, True): "mean of the four cosines of pictures and their mirror images",
    (Mode.STRICT, False): "cosine",
    (Mode.COMPATIBLE, True): "cosine of the sums over mirror images, normalized again",
    (Mode.COMPATIBLE, False): "cosine of templates, normalized again",
}


def matching(mode: Mode, mirror: bool) -> str:
    """Return a description of the score of two pictures."""
    return _MATCHING[mode, mirror]
