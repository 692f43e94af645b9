"""The options of the weightings of the gradients of one update."""

from enum import Enum
from typing import TYPE_CHECKING

import attrs

from mtlkit.component import above, at_least, at_least_number, below, between, member_of, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting

if TYPE_CHECKING:
    from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class GradNorm(GradientWeighting):
    """Learned weights that let all tasks train at similar rates (Chen et al., ICML 2018, eq. 2).

    `alpha` is how strongly a task that lags is favoured, 0 for equal gradient norms;
    `learning_rate` is that of the weights, whose sum stays the number of tasks.
    """

    alpha: float = attrs.field(default=1.5, validator=at_least_number(0))
    learning_rate: float = attrs.field(default=0.025, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.gradnorm import GradNormWeights

        return GradNormWeights(self, terms)


class Normalisation(Enum):
    """What a gradient is divided by before gradients are compared."""

    NONE = "none"
    NORM = "norm"  # its own norm
    LOSS = "loss"  # the loss of its task
    LOSS_AND_NORM = "loss-and-norm"  # both


@attrs.frozen(kw_only=True)
class MGDA(GradientWeighting):
    """The shortest vector among the convex combinations (MGDA; Sener & Koltun, NeurIPS 2018).

    At the features it is the paper's MGDA-UB. `normalise` divides gradients before they are
    compared. By definition a task whose gradient is zero makes the shortest vector zero: training
    of what is shared then stops.
    """

    normalise: Normalisation = attrs.field(
        default=Normalisation.NONE, validator=member_of(Normalisation)
    )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.mgda import MGDAOfLosses, MGDAWeights

        by_loss = self.normalise in (Normalisation.LOSS, Normalisation.LOSS_AND_NORM)
        return (MGDAOfLosses if by_loss else MGDAWeights)(self.normalise)


@attrs.frozen(kw_only=True)
class PCGrad(GradientWeighting):
    """Each gradient without its parts against the others (PCGrad; Yu et al., NeurIPS 2020)."""

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.pcgrad import PCGradWeights

        return PCGradWeights()


@attrs.frozen(kw_only=True)
class GradVac(GradientWeighting):
    """Gradients turned to the cosines that they had before (Wang et al., ICLR 2021, eq. 4-5).

    `rate` is the share of the newest cosine in the running target (the paper's beta).
    """

    rate: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.gradvac import GradVacWeights

        return GradVacWeights(self.rate, terms)


@attrs.frozen(kw_only=True)
class IMTLG(GradientWeighting):
    """A direction with the same projection on every gradient (IMTL-G; Liu et al., ICLR 2021)."""

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.imtl_g import IMTLGWeights

        return IMTLGWeights()


@attrs.frozen(kw_only=True)
class CAGrad(GradientWeighting):
    """The best worst improvement near the mean gradient (CAGrad; Liu et al., NeurIPS 2021, eq. 4).

    `c` is how far from the mean gradient the direction may be, in units of its norm: 0 is the mean,
    and the larger, the nearer to MGDA.
    """

    c: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.cagrad import CAGradWeights

        return CAGradWeights(self.c)


@attrs.frozen(kw_only=True)
class NashMTL(GradientWeighting):
    """The Nash bargaining solution, G a = 1 / a (Navon et al., ICML 2022, algorithm 1).

    `largest_norm` is how long the direction may be; None leaves it as it is. `every` is how many
    updates the weights are kept for.
    """

    largest_norm: float | None = attrs.field(default=1.0, validator=optional(above(0)))
    every: int = attrs.field(default=1, validator=at_least(1))

    @property
    def scale_free(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.nash_mtl import NashMTLWeights

        return NashMTLWeights(self, terms)


@attrs.frozen(kw_only=True)
class FairGrad(GradientWeighting):
    """Fair shares of the progress, G a = a^(-1 / alpha) (FairGrad; Ban & Ji, ICML 2024, eq. 8).

    `alpha` is the kind of fairness: 1 is that of Nash-MTL, and the larger, the more the task that
    gains least counts. Beyond these bounds gradients of very unequal lengths were not solved.
    """

    alpha: float = attrs.field(default=1.0, validator=between(0.5, 2))

    @property
    def scale_free(self) -> bool:
        return self.alpha == 1  # Nash's product, which no unit changes

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.fairgrad import FairGradWeights

        return FairGradWeights(self.alpha)


class Singular(Enum):
    """Which singular value all of them are brought to."""

    SMALLEST = "smallest"  # the paper's
    MEDIAN = "median"
    MEAN_SQUARE = "mean-square"


@attrs.frozen(kw_only=True)
class AlignedMTL(GradientWeighting):
    """Gradients made orthogonal and equally long (Senushkin et al., CVPR 2023, algorithm 1).

    `scale` is the singular value that all are brought to.
    """

    scale: Singular = attrs.field(default=Singular.SMALLEST, validator=member_of(Singular))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit.weightings.aligned_mtl import AlignedMTLWeights

        return AlignedMTLWeights(self.scale)
