"""The options of the weightings that turn the Jacobian into a direction, not into weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.plugins import LossTerm, Problem, above, at_least, at_least_number, between, each
from mtlkit.weightings import GradientWeighting, HeadGradients
from mtlkit_torchjd.configs.asked import needing_torchjd, strangers

if TYPE_CHECKING:
    from mtlkit.weightings import WeightingModule


@attrs.frozen(kw_only=True)
class Directing(GradientWeighting):
    """A weighting without weights: what it logs is how far its direction goes along each gradient.

    So there is nothing to weigh the heads with, and `heads: weighted` is refused.
    """

    returns_direction: ClassVar[bool] = True

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.heads is HeadGradients.WEIGHTED:
            yield Problem(
                ("weighting", "heads"),
                f"{type(self).__name__} gives a direction and no weights, which heads could be "
                f"weighted with; use `heads: unweighted`",
            )


@attrs.frozen(kw_only=True)
class ConFig(Directing):
    """The direction that goes equally along all unit gradients (ConFIG; Liu et al., 2024, eq. 2).

    `preferences` say how far along each, by the name of the loss; the others have 1, and only
    ratios count.
    """

    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from super().problems(terms)
        yield from strangers(self.preferences, terms, "preferences")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("ConFig"):
            from mtlkit_torchjd.conflict_free import ConFigDirection

            return ConFigDirection(self, terms)


@attrs.frozen(kw_only=True)
class GradDrop(Directing):
    """One sign for each coordinate, what has the other is dropped (Chen et al., NeurIPS 2020).

    The sign is drawn anew in each update, positive with the chance 1/2 + `steepness` (P - 1/2),
    where P is the sum of the positive parts over that of all absolute ones (algorithm 1, lines 10
    to 15): 1 is the purity P itself, 0 a fair coin, and a large number the sign of the sum. `leak`
    is how much of a gradient is kept in any case, by the name of the loss; the others have 0.
    """

    steepness: float = attrs.field(default=1.0, validator=at_least_number(0))
    leak: Mapping[str, float] = attrs.field(factory=dict, validator=each(between(0, 1)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from super().problems(terms)
        yield from strangers(self.leak, terms, "leak")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("GradDrop"):
            from mtlkit_torchjd.graddrop import GradDropDirection

            return GradDropDirection(self, terms)


@attrs.frozen(kw_only=True)
class TrimmedMean(Directing):
    """The mean of each coordinate without its extremes (Yin et al., ICML 2018).

    `trim` is how many of the largest and of the smallest values are left out of each coordinate.
    Updates in which so many losses have no label that nothing would be left have fewer left out.
    """

    trim: int = attrs.field(default=1, validator=at_least(0))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from super().problems(terms)
        needed = 2 * self.trim + 1
        if len(terms) < needed:
            yield Problem(
                ("weighting", "trim"),
                f"TrimmedMean with `trim: {self.trim}` needs {needed} losses or more and found "
                f"{len(terms)}; use a smaller number, or another weighting",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("TrimmedMean"):
            from mtlkit_torchjd.robust import TrimmedMeanDirection

            return TrimmedMeanDirection(self)
