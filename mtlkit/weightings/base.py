"""Base classes of the options of weightings, and checks that pair them with tasks and routers."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Component, Problem, member_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.term_checks import unknown_names

if TYPE_CHECKING:
    from mtlkit.weightings.kinds import WeightingModule


@attrs.frozen(kw_only=True)
class Weighting(Component):
    """Options of a weighting, which combines the losses of a step into one update.

    Requirements are declared, so that an unsuitable recipe is rejected when it is read: `min_tasks`
    is the smallest number of loss terms, `reads_features` requires shared features and the losses
    of samples, and `reads_epochs` requires the start of each epoch. `compares_steps` is True if
    losses or gradients before and after a step are compared, which excludes callbacks that compute
    gradients elsewhere. `options_by_loss` names the options whose keys are names of losses.
    """

    min_tasks: ClassVar[int] = 1
    reads_features: ClassVar[bool] = False
    reads_epochs: ClassVar[bool] = False
    compares_steps: ClassVar[bool] = False
    options_by_loss: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        """Return the module that weights `terms`, given shared features (N, `features`)."""

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Yield the reasons why this weighting cannot weight `terms`; called before `build`."""
        for option in self.options_by_loss:
            yield from unknown_names(getattr(self, option), terms, option)

    def notes(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Yield what a valid recipe may not intend, which is printed when the recipe is read."""
        return ()

    @property
    def scale_free(self) -> bool:
        """Return True if scaling a loss leaves the update of shared parameters unchanged.

        The conformance kit checks the claim.
        """
        return False

    @property
    def reads_classes(self) -> bool:
        """Return True if the number of classes of each task is read."""
        return False

    @property
    def own_learning_rate(self) -> float | None:
        """Learning rate of learned weights; None uses that of the optimizer."""
        return None


class GradientLocation(Enum):
    """Tensors with respect to which the tasks' gradients are computed."""

    FEATURES = "features"  # the shared features: one backward pass through the heads
    LAST_SHARED_LAYER = "last-shared-layer"  # weights of the last layer that all tasks share
    PARAMETERS = "parameters"  # all shared parameters: one backward pass per task


class HeadGradients(Enum):
    """Gradient of the parameters of a task's head; libraries differ, mostly undocumented."""

    WEIGHTED = "weighted"  # of w_t L_t, as in one backward pass of the weighted sum
    UNWEIGHTED = "unweighted"  # of L_t: weights apply to shared parameters (MGDA, algorithm 1)


@attrs.frozen(kw_only=True)
class GradientWeighting(Weighting):
    """Options of a weighting of the tasks' gradients.

    `at` selects where gradients are computed and `heads` the gradient of each head.
    `returns_direction` is True for a direction with an entry per parameter instead of weights.
    """

    min_tasks = 2
    returns_direction: ClassVar[bool] = False

    at: GradientLocation = attrs.field(
        default=GradientLocation.FEATURES, validator=member_of(GradientLocation)
    )
    heads: HeadGradients = attrs.field(
        default=HeadGradients.UNWEIGHTED, validator=member_of(HeadGradients)
    )

    @property
    def compares_samples(self) -> bool:
        """Return True if gradients of different samples are compared, which excludes features."""
        return False


@attrs.frozen(kw_only=True)
class CrossSampleWeighting(GradientWeighting):
    """Options of a weighting that compares gradients of different samples, of all parameters."""

    compares_samples = True

    at: GradientLocation = attrs.field(
        default=GradientLocation.PARAMETERS, validator=member_of(GradientLocation)
    )


def pairing_problems(
    weighting: Weighting,
    terms: Sequence[LossTerm],
    *,
    shared_features: bool = True,
    shared_last_layer: bool = True,
) -> Iterable[Problem]:
    """Yield the reasons why `weighting` cannot weight `terms` behind a router.

    `shared_features` and `shared_last_layer` are the router's. `weighting.problems` come last.
    """
    name = type(weighting).__name__
    if len(terms) < weighting.min_tasks:
        names = ", ".join(repr(term.name) for term in terms)
        yield Problem(
            ("weighting",),
            f"got {len(terms)} ({names}), expected at least {weighting.min_tasks} losses for "
            f"{name}; use `equal` for one task",
        )
        return
    gradients = weighting if isinstance(weighting, GradientWeighting) else None
    at_features = gradients is not None and gradients.at is GradientLocation.FEATURES
    if not shared_features and (weighting.reads_features or at_features):
        remedy = "use `at: parameters`" if gradients else "use another weighting, or `shared`"
        yield Problem(
            ("weighting", "at") if gradients else ("weighting",),
            f"{name} reads the shared features, but this router returns separate features for "
            f"each task; {remedy}",
        )
    at_last_layer = gradients is not None and gradients.at is GradientLocation.LAST_SHARED_LAYER
    if at_last_layer and not shared_last_layer:
        yield Problem(
            ("weighting", "at"),
            "got losses that do not depend on the last layer of this network, expected a last "
            "layer that all share; use `at: parameters`",
        )
    if gradients is not None and gradients.compares_samples and at_features:
        yield Problem(
            ("weighting", "at"),
            f"{name} compares the gradients of different samples, but gradients at the features "
            f"belong to the samples of one update; use `at: parameters`",
        )
    if gradients is not None and gradients.returns_direction and at_last_layer:
        yield Problem(
            ("weighting", "at"),
            f"{name} returns a direction, which at the last shared layer has no entries for the "
            f"layers before it; use `at: parameters`",
        )
    yield from weighting.problems(terms)
