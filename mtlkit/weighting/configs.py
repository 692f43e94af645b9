"""The family of weightings, and the options of the built-in ones."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.config import Component, Problem, above, at_least_number, each, one_of, optional
from mtlkit.vocabulary import LossTerm, Role

if TYPE_CHECKING:
    from mtlkit.weighting.module import WeightingModule


@attrs.frozen(kw_only=True)
class Weighting(Component):
    """How the losses of a step become one update."""

    @abstractmethod
    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        """The module that weighs `terms`, next to shared features (N, `features`)."""

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Why this weighting cannot weigh these terms, found before anything is built."""
        return ()

    @property
    def own_learning_rate(self) -> float | None:
        """The learning rate of learned weights; None is the optimiser's own."""
        return None


@attrs.frozen(kw_only=True)
class Fixed(Weighting):
    """Constant weights, by the name of the task; a task that is not named has weight 1.

    With routing in groups the branches' loss is named ``<task>.branches``.
    """

    weights: Mapping[str, float] = attrs.field(factory=dict, validator=each(at_least_number(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        names = [term.name for term in terms]
        for name in self.weights:
            if name not in names:
                yield Problem(
                    ("weighting", "weights", name),
                    f"no loss is named {name!r}; the losses are {', '.join(names)}",
                )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weighting.fixed import FixedWeights

        return FixedWeights([self.weights.get(term.name, 1.0) for term in terms])


@attrs.frozen(kw_only=True)
class Equal(Weighting):
    """The same weight for every side task, 1 for every main task.

    `total` is shared by the side tasks: 0.1 over three gives 0.033 each (the "equal" row of Yin &
    Liu, TIP 2018). None gives every task weight 1: the plain sum.
    """

    total: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weighting.fixed import FixedWeights

        side = sum(term.role is Role.SIDE for term in terms)
        each_side = 1.0 if self.total is None else self.total / max(side, 1)
        return FixedWeights([1.0 if term.role is Role.MAIN else each_side for term in terms])


@attrs.frozen(kw_only=True)
class Uncertainty(Weighting):
    """Weights learned as homoscedastic uncertainty (Kendall, Gal & Cipolla, CVPR 2018, eq. 10).

    `learning_rate` is that of the learned log-variances; None means the optimiser's own.
    """

    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weighting.uncertainty import UncertaintyWeights

        return UncertaintyWeights(terms)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate


@attrs.frozen(kw_only=True)
class Dynamic(Weighting):
    """Weights from a softmax of the shared features (Yin & Liu, TIP 2018, eq. 7-8).

    The side tasks share `total` (the paper's phi_s). The main tasks have weight 1 each, or share
    `main_total` by a gate of their own where `gate_main` says so (eq. 10-11).

    `form` is what is averaged over the batch: ``mean-of-products`` weighs each sample's loss with
    its own weight (eq. 8), ``product-of-means`` the mean loss with the mean weight (the authors'
    released layer; a batch that is accumulated or divided among ranks has one product for each
    part). With `normalise` a loss is measured in units of ln(classes), the loss of a
    guess: otherwise the gate, which favours the lowest loss, starts by favouring the task with the
    fewest classes. `learning_rate` is that of the gates; None means the optimiser's own.
    """

    total: float = attrs.field(default=0.1, validator=above(0))
    form: str = attrs.field(
        default="mean-of-products", validator=one_of("mean-of-products", "product-of-means")
    )
    normalise: bool = False
    gate_main: bool = False
    main_total: float = attrs.field(default=1.0, validator=above(0))
    learning_rate: float | None = attrs.field(default=None, validator=optional(above(0)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if all(term.role is not Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                "dynamic weights need a main task and found none; give one task `role: main`",
            )
        mains = sum(term.role is Role.MAIN for term in terms)
        if self.gate_main and mains == 1:
            yield Problem(
                ("weighting", "gate_main"),
                "gate_main divides a total among main losses and found 1; leave it out, or route "
                "the main task with `grouped`, whose branches are a second main loss",
            )
        if all(term.role is not Role.SIDE for term in terms):
            yield Problem(
                ("weighting",),
                "dynamic weights divide a total among side tasks and found none; "
                "use `equal` for main tasks alone",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weighting.dynamic import DynamicWeights

        return DynamicWeights(self, terms, features)

    @property
    def own_learning_rate(self) -> float | None:
        return self.learning_rate
