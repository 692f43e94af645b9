"""The options of the weightings that go by gradients of several updates or draws of samples."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Problem, above, at_least, at_least_number, below, between, member_of
from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings._of_gradients import MGDA
from mtlkit.weightings.base import GradientLocation, GradientWeighting, HeadGradients

if TYPE_CHECKING:
    from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class DBMTL(GradientWeighting):
    """Gradients of log-losses, all made as long as the longest (DB-MTL; Lin et al., 2023).

    `momentum` is how much of the gradients of before is kept (the paper's beta), which needs the
    parameters' gradients: ``at: parameters``. 0 needs the Gramian alone.
    """

    momentum: float = attrs.field(default=0.0, validator=below(1))

    @property
    def scale_free(self) -> bool:
        return True

    @property
    def remembers(self) -> bool:
        return self.momentum > 0

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.remembers and self.at is GradientLocation.LAST_SHARED_LAYER:
            yield Problem(
                ("weighting", "at"),
                "DBMTL with momentum gives a direction, which at the last shared layer says "
                "nothing of the layers before it; use `at: parameters`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.db_mtl import DBMTLDirection, DBMTLWeights

        return DBMTLDirection(self.momentum, terms) if self.remembers else DBMTLWeights()


@attrs.frozen(kw_only=True)
class MoCo(GradientWeighting):
    """MGDA on running means of the gradients, against its bias (MoCo; Fernando et al., ICLR 2023).

    `tracking` (the paper's beta) is how far a mean goes to the newest gradient, `rate` (gamma) how
    far the weights go in an update, and `pull` (rho) keeps them near equal.
    """

    directs: ClassVar[bool] = True

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    tracking: float = attrs.field(default=0.5, validator=between(0.001, 1))
    rate: float = attrs.field(default=0.1, validator=above(0))
    pull: float = attrs.field(default=0.0, validator=at_least_number(0))

    @property
    def remembers(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.moco import MoCoDirection

        return MoCoDirection(self, terms)


@attrs.frozen(kw_only=True)
class ExcessMTL(GradientWeighting):
    """More weight to the tasks that are farther from their best (He et al., ICML 2024, eq. 6-9).

    `rate` is that of the weights (the paper's eta). The distance is estimated from gradients and
    their running squares, and measured in units of the first one.
    """

    directs: ClassVar[bool] = True

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    rate: float = attrs.field(default=1.0, validator=above(0))

    @property
    def remembers(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.excess_mtl import ExcessMTLDirection

        return ExcessMTLDirection(self.rate, terms)


@attrs.frozen(kw_only=True)
class CRMOGM(GradientWeighting):
    """The weights of another scheme, averaged over updates (CR-MOGM; Zhou et al., NeurIPS 2022).

    `of` is the other scheme, and `momentum` how much of the weights of before is kept.
    """

    of: GradientWeighting = attrs.field(factory=MGDA)
    momentum: float = attrs.field(default=0.9, validator=below(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.of.directs or self.of.remembers:
            yield Problem(
                ("weighting", "of"),
                f"CRMOGM averages weights, and {type(self.of).__name__} is no scheme that turns "
                f"the Gramian of one update into weights; use one that does, such as `mgda`",
            )
            return
        for option, default in (
            ("at", GradientLocation.FEATURES),
            ("heads", HeadGradients.UNWEIGHTED),
        ):
            if getattr(self.of, option) is not default:
                yield Problem(
                    ("weighting", "of", option),
                    f"the averaged weights are taken where CRMOGM says; put `{option}` beside `of`",
                )
        yield from self.of.problems(terms)

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.cr_mogm import CRMOGMWeights

        return CRMOGMWeights(self, terms, features)


@attrs.frozen(kw_only=True)
class MoDo(GradientWeighting):
    """MGDA's weights by small steps from two draws of samples (MoDo; Chen et al., JMLR 2024).

    The samples of an update are divided into three draws: two for the weights, one for the update.
    `rate` is the paper's gamma and `pull` its rho.
    """

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    rate: float = attrs.field(default=0.1, validator=above(0))
    pull: float = attrs.field(default=0.1, validator=at_least_number(0))

    @property
    def remembers(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.modo import MoDoWeights

        return MoDoWeights(self, terms)


@attrs.frozen(kw_only=True)
class SDMGrad(GradientWeighting):
    """A direction between MGDA's and the mean (SDMGrad; Xiao et al., NeurIPS 2023, algorithm 1).

    The samples of an update are divided into three draws: two for the weights, one for the update.
    `nearness` (the paper's lambda) draws to the mean gradient; the weights are found by `steps`
    steps of `rate` with `momentum`, on gradients in units of their mean norm.
    """

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    nearness: float = attrs.field(default=0.3, validator=at_least_number(0))
    rate: float = attrs.field(default=10.0, validator=above(0))
    momentum: float = attrs.field(default=0.5, validator=below(1))
    steps: int = attrs.field(default=20, validator=at_least(1))

    @property
    def remembers(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.sdmgrad import SDMGradWeights

        return SDMGradWeights(self, terms)


@attrs.frozen(kw_only=True)
class AutoLambda(GradientWeighting):
    """Weights by whether a step along a task helps the main tasks (Liu et al., TMLR 2022, eq. 3).

    The samples of an update are divided into two draws: a step is looked at on the first and judged
    by the main losses on the second. `start` is each weight at first, `learning_rate` that of the
    weights. Where every task is a main task, all judge.
    """

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )
    start: float = attrs.field(default=0.1, validator=above(0))
    learning_rate: float = attrs.field(default=1e-3, validator=above(0))

    @property
    def remembers(self) -> bool:
        return True

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if all(term.role is not Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                "AutoLambda asks what helps the main tasks and found none; give one task "
                "`role: main`",
            )
        if self.at is GradientLocation.LAST_SHARED_LAYER:
            yield Problem(
                ("weighting", "at"),
                "AutoLambda looks at a step of all that is shared; use `at: parameters`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.auto_lambda import AutoLambdaWeights

        return AutoLambdaWeights(self, terms)
