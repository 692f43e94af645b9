"""The options of the weightings that are given, or follow from losses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Problem, above, at_least_number, below, each, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting

if TYPE_CHECKING:
    from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class Fixed(Weighting):
    """Constant weights, by the name of the task; a task that is not named has weight 1.

    With routing in groups the branches' loss is named ``<task>.branches``.
    """

    weights: Mapping[str, float] = attrs.field(factory=dict, validator=each(at_least_number(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from _strangers(self.weights, terms, "weights")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.fixed import FixedWeights

        return FixedWeights([self.weights.get(term.name, 1.0) for term in terms])


@attrs.frozen(kw_only=True)
class Equal(Weighting):
    """The same weight for every side task, 1 for every main task.

    `total` is shared by the side tasks: 0.1 over three gives 0.033 each (the "equal" row of Yin &
    Liu, TIP 2018). None gives every task weight 1: the plain sum.
    """

    total: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.fixed import FixedWeights

        side = sum(term.role is Role.SIDE for term in terms)
        each_side = 1.0 if self.total is None else self.total / max(side, 1)
        return FixedWeights([1.0 if term.role is Role.MAIN else each_side for term in terms])


@attrs.frozen(kw_only=True)
class Log(Weighting):
    """The sum of the logarithms of the losses, which no scale of a loss can change (SI)."""

    fewest: ClassVar[int] = 2

    @property
    def scale_free(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.log import LogWeights

        return LogWeights()


@attrs.frozen(kw_only=True)
class GLS(Weighting):
    """The geometric mean of the losses (GLS; Chennupati et al., CVPR workshops 2019)."""

    fewest: ClassVar[int] = 2

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.gls import GLSWeights

        return GLSWeights()


@attrs.frozen(kw_only=True)
class STCH(Weighting):
    """A smooth maximum of the losses (STCH; Lin et al., ICML 2024, eq. 12).

    `smoothing` is the paper's mu: near 0 only the largest loss counts. `preferences` multiply the
    losses before they are compared, by the name of the task; the others have 1 / T. `ideal` is
    subtracted before, 0 where a task is not named.
    """

    fewest: ClassVar[int] = 2

    smoothing: float = attrs.field(default=1.0, validator=above(0))
    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    ideal: Mapping[str, float] = attrs.field(factory=dict, validator=each(at_least_number(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from _strangers(self.preferences, terms, "preferences")
        yield from _strangers(self.ideal, terms, "ideal")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.stch import STCHWeights

        return STCHWeights(self, terms)


@attrs.frozen(kw_only=True)
class DWA(Weighting):
    """Weights by how slowly a loss fell over the last two epochs (DWA; Liu et al., CVPR 2019).

    `temperature` is the paper's T: the higher, the more equal. The first two epochs are equal.
    """

    fewest: ClassVar[int] = 2

    temperature: float = attrs.field(default=2.0, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.dwa import DWAWeights

        return DWAWeights(self.temperature, terms)


@attrs.frozen(kw_only=True)
class RLW(Weighting):
    """Random weights, drawn anew for each update (RLW; Lin et al., TMLR 2022): a placebo."""

    fewest: ClassVar[int] = 2

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.rlw import RLWWeights

        return RLWWeights()


@attrs.frozen(kw_only=True)
class CoV(Weighting):
    """Weights by the coefficient of variation of a loss (CoV; Groenendijk et al., WACV 2021).

    `decay` forgets early losses: a mean is `decay` of itself and the rest of the new value. None
    counts all updates alike.
    """

    fewest: ClassVar[int] = 2

    decay: float | None = attrs.field(default=None, validator=optional(below(1)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.cov import CoVWeights

        return CoVWeights(self.decay, terms)


@attrs.frozen(kw_only=True)
class FAMO(Weighting):
    """All losses fall at one rate, seen from their change in an update (FAMO; Liu et al., 2023).

    A second forward pass after each update tells how much each loss fell. `learning_rate` (the
    paper's beta) and `decay` (gamma) are those of the logits of the weights.
    """

    fewest: ClassVar[int] = 2

    learning_rate: float = attrs.field(default=0.025, validator=above(0))
    decay: float = attrs.field(default=1e-3, validator=at_least_number(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.famo import FAMOWeights

        return FAMOWeights(self, terms)


def _strangers(
    named: Mapping[str, float], terms: Sequence[LossTerm], option: str
) -> Iterable[Problem]:
    """A problem for each name that no loss has."""
    names = [term.name for term in terms]
    for name in named:
        if name not in names:
            yield Problem(
                ("weighting", option, name),
                f"no loss is named {name!r}; the losses are {', '.join(names)}",
            )
