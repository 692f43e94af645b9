"""The options of the weightings of losses that are learned by descent."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Problem, above, one_of, optional
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings.base import Weighting

if TYPE_CHECKING:
    from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class Uncertainty(Weighting):
    """Weights learned as homoscedastic uncertainty (Kendall, Gal & Cipolla, CVPR 2018, eq. 10).

    `learning_rate` is that of the learned log-variances; None means the optimiser's own.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.uncertainty import UncertaintyWeights

        return UncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


@attrs.frozen(kw_only=True)
class BoundedUncertainty(Weighting):
    """Learned uncertainty whose regulariser keeps the sum above zero (Liebel & Koerner, 2018).

    `learning_rate` is that of the learned deviations; None means the optimiser's own.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.bounded_uncertainty import BoundedUncertaintyWeights

        return BoundedUncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


@attrs.frozen(kw_only=True)
class Dynamic(Weighting):
    """Weights from a softmax of the shared features (Yin & Liu, TIP 2018, eq. 7-8).

    The side tasks share `total` (the paper's phi_s). The main tasks have weight 1 each, or share
    `main_total` by a gate of their own where `gate_main` says so (eq. 10-11).

    `form` is what is averaged over the batch: ``mean-of-products`` weighs each sample's loss with
    its own weight (eq. 8), ``product-of-means`` the mean loss with the mean weight. ``released`` is
    that with the gradient of the authors' released layer, in which a weight scales the loss that
    is reported and moves its gate, while the task's gradient is scaled by the whole `total`. With
    `normalise` a loss is measured in units of ln(classes), the loss of a guess: otherwise the gate,
    which favours the lowest loss, starts by favouring the task with the fewest classes.
    `learning_rate` is that of the gates; None means the optimiser's own.
    """

    reads_features: ClassVar[bool] = True

    total: float = attrs.field(default=0.1, validator=above(0))
    form: str = attrs.field(
        default="mean-of-products",
        validator=one_of("mean-of-products", "product-of-means", "released"),
    )
    normalise: bool = False
    gate_main: bool = False
    main_total: float = attrs.field(default=1.0, validator=above(0))
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from _main_and_side(terms, "dynamic weights")
        if self.gate_main and sum(term.role is Role.MAIN for term in terms) == 1:
            yield Problem(
                ("weighting", "gate_main"),
                "gate_main divides a total among main losses and found 1; leave it out, or route "
                "the main task with `grouped`, whose branches are a second main loss",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.dynamic import FORMS

        return FORMS[self.form](self, terms, features)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


@attrs.frozen(kw_only=True)
class HarderFirst(Weighting):
    """Dynamic weights that go to the task with the highest loss (Ming et al., FG 2019).

    As `Dynamic`, the side tasks share `total` by a softmax of the shared features; but the gate
    descends on the sum of weight / loss, in which the losses are constants, so that it moves weight
    to the harder tasks, where Yin & Liu's moves it to the easier ones. With `normalise` losses are
    compared in units of ln(classes). `learning_rate` is that of the gate; None means the
    optimiser's own.
    """

    reads_features: ClassVar[bool] = True

    total: float = attrs.field(default=0.1, validator=above(0))
    normalise: bool = False
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from _main_and_side(terms, "harder-first weights")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.harder_first import HarderFirstWeights

        return HarderFirstWeights(self, terms, features)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


@attrs.frozen(kw_only=True)
class IMTLL(Weighting):
    """Learned scales that bring every loss to the same size (IMTL-L; Liu et al., ICLR 2021).

    `learning_rate` is that of the learned scales; None means the optimiser's own.
    """

    fewest: ClassVar[int] = 2

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.imtl_l import IMTLLWeights

        return IMTLLWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


def _main_and_side(terms: Sequence[LossTerm], what: str) -> Iterable[Problem]:
    """A problem where there is no main task, or no side task to share a total."""
    if all(term.role is not Role.MAIN for term in terms):
        yield Problem(
            ("weighting",), f"{what} need a main task and found none; give one task `role: main`"
        )
    if all(term.role is not Role.SIDE for term in terms):
        yield Problem(
            ("weighting",),
            f"{what} divide a total among side tasks and found none; "
            f"use `equal` for main tasks alone",
        )
