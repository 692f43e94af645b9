"""What strict and compatible mean, as one value for each mode."""

import attrs

from mtlkit_face.metrics.fold_accuracy import ThresholdRule, grid, midpoint
from mtlkit_face.metrics.operating_point import OperatingRule, budget, nearest
from mtlkit_face.protocols.mode import Mode


@attrs.frozen(kw_only=True)
class Rules:
    """How thresholds are chosen, and whether the spread over folds is that of a population."""

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
    (Mode.COMPATIBLE, True): "cosine of the sums over mirror images, normalised again",
    (Mode.COMPATIBLE, False): "cosine of templates, normalised again",
}


def matching(mode: Mode, mirror: bool) -> str:
    """How two pictures are matched, in words."""
    return _MATCHING[mode, mirror]
