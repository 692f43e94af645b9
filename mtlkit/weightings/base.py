"""The family of weightings, and what those of gradients have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Component, Problem, member_of
from mtlkit.task_types import LossTerm

if TYPE_CHECKING:
    from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class Weighting(Component):
    """How the losses of a step become one update.

    What a weighting needs is declared, so that a recipe that cannot give it is refused when it is
    read: `min_tasks` loss terms, and `reads_features` for one that looks at the shared features.
    """

    min_tasks: ClassVar[int] = 1
    reads_features: ClassVar[bool] = False

    @abstractmethod
    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        """The module that weighs `terms`, next to shared features (N, `features`)."""

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Why this weighting cannot weigh these terms, found before anything is built."""
        return ()

    @property
    def scale_free(self) -> bool:
        """Whether the update of what is shared is the same in whatever unit a loss is.

        The conformance kit holds a weighting to it.
        """
        return False

    @property
    def own_learning_rate(self) -> float | None:
        """The learning rate of learned weights; None is the optimiser's own."""
        return None


class GradientLocation(Enum):
    """Where the gradients of the tasks are taken."""

    FEATURES = "features"  # at the shared features: one pass through the heads alone
    LAST_SHARED_LAYER = "last-shared-layer"  # at the weights of the last layer that all share
    PARAMETERS = "parameters"  # at all parameters that the tasks share: a pass for each task


class HeadGradients(Enum):
    """What the parameters of one task's head get; libraries differ in it, and rarely say so."""

    WEIGHTED = "weighted"  # the gradient of w_t L_t, as by one backward of the weighted sum
    UNWEIGHTED = "unweighted"  # that of L_t: weights are for what is shared (MGDA, algorithm 1)


@attrs.frozen(kw_only=True)
class GradientWeighting(Weighting):
    """A weighting of the tasks' gradients: `at` says where they are taken.

    `heads` is what the heads get. `remembers` says whether gradients of earlier updates are kept:
    at the features they belong to other samples, so there is nothing to keep; and `directs` whether
    a direction comes out rather than weights, which then must have an entry for every parameter.
    """

    min_tasks: ClassVar[int] = 2
    directs: ClassVar[bool] = False

    at: GradientLocation = attrs.field(
        default=GradientLocation.FEATURES, validator=member_of(GradientLocation)
    )
    heads: HeadGradients = attrs.field(
        default=HeadGradients.UNWEIGHTED, validator=member_of(HeadGradients)
    )

    @property
    def remembers(self) -> bool:
        """Whether gradients are compared with those of other samples."""
        return False


def pairing_problems(
    weighting: Weighting,
    terms: Sequence[LossTerm],
    *,
    shared_features: bool = True,
    shared_last_layer: bool = True,
) -> Iterable[Problem]:
    """Why `weighting` cannot serve these terms, behind a router that shares so much or so little.

    The scheme's own `problems` come last.
    """
    name = type(weighting).__name__
    if len(terms) < weighting.min_tasks:
        found = ", ".join(repr(term.name) for term in terms)
        yield Problem(
            ("weighting",),
            f"{name} balances {weighting.min_tasks} losses or more and found {len(terms)} "
            f"({found}); use `equal` for one task",
        )
        return
    gradients = weighting if isinstance(weighting, GradientWeighting) else None
    at_features = gradients is not None and gradients.at is GradientLocation.FEATURES
    if not shared_features and (weighting.reads_features or at_features):
        remedy = "use `at: parameters`" if gradients else "use another weighting, or `shared`"
        yield Problem(
            ("weighting", "at") if gradients else ("weighting",),
            f"{name} looks at the shared features, and this router gives each task features of "
            f"its own; {remedy}",
        )
    at_last_layer = gradients is not None and gradients.at is GradientLocation.LAST_SHARED_LAYER
    if at_last_layer and not shared_last_layer:
        yield Problem(
            ("weighting", "at"),
            "not every loss depends on the last layer of this network, so none is the last that "
            "all share; use `at: parameters`",
        )
    if gradients is not None and gradients.remembers and at_features:
        yield Problem(
            ("weighting", "at"),
            f"{name} compares the gradients of different samples, and gradients at the features "
            f"belong to the samples of one update; use `at: parameters`",
        )
    if gradients is not None and gradients.directs and at_last_layer:
        yield Problem(
            ("weighting", "at"),
            f"{name} gives a direction, which at the last shared layer says nothing of the layers "
            f"before it; use `at: parameters`",
        )
    yield from weighting.problems(terms)
