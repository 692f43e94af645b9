"""Coordinate-wise trimmed mean (Yin et al., ICML 2018), by TorchJD."""

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor
from torchjd import aggregation

from mtlkit.plugins import LossTerm, Problem, at_least
from mtlkit.weightings import Direction, JacobianWeighting, UpdateStats, WeightingModule
from mtlkit_torchjd.direction_weighting import DirectionWeighting, progress


@attrs.frozen(kw_only=True)
class TrimmedMean(DirectionWeighting):
    """The mean of each coordinate without its extremes (Yin et al., ICML 2018).

    `trim` is the number of the largest and of the smallest values left out of each coordinate; it
    is reduced in updates in which too few losses have a label.
    """

    trim: int = attrs.field(default=1, validator=at_least(0))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from super().problems(terms)
        required = 2 * self.trim + 1
        if len(terms) < required:
            yield Problem(
                ("weighting", "trim"),
                f"got {len(terms)} losses, expected at least {required} for TrimmedMean with "
                f"`trim: {self.trim}`; use a smaller number, or another weighting",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return TrimmedMeanDirection(self)


class TrimmedMeanDirection(JacobianWeighting):
    """The mean of each coordinate's values without the largest and the smallest ones.

    The trimmed mean of three gradients is their median, so with two opposite ones the third
    remains, clipped between them. A gradient of zero is a value like others and trimmed if it is an
    extreme. A long gradient counts no more than the others. A value that is not finite is an error
    rather than an extreme, so the direction is NaN there.
    """

    def __init__(self, config: TrimmedMean) -> None:
        super().__init__()
        self.trim = config.trim
        self.aggregator = aggregation.TrimmedMean(config.trim)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        self.aggregator.trim_number = min(self.trim, (len(jacobian) - 1) // 2)
        finite = jacobian.sum(dim=0).isfinite()
        direction = torch.where(finite, self.aggregator(jacobian), torch.nan)
        return Direction(direction, progress(jacobian, direction))
