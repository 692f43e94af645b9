"""The contract of routers: the part of the network each task and sample uses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import final

import attrs
from torch import Tensor, nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.component import Component, Problem
from mtlkit.heads.base import HeadModule
from mtlkit.task_types import LossTerm


@attrs.frozen(kw_only=True)
class Wiring:
    """What a router is built next to: the backbone, the tasks, and how more of each are had."""

    backbone: "BackboneModule"
    sample_shape: tuple[int, ...]  # of the backbone's inputs (N, *sample_shape)
    new_backbone: "Callable[[], BackboneModule]"  # another like it, with weights of its own
    tasks: tuple[str, ...]
    new_head: "Callable[[str, int], HeadModule]"  # (task, features) to a fresh head of that task
    classes: Mapping[str, tuple[str, ...]]  # the class names of each classification task


@attrs.frozen(kw_only=True)
class Router(Component):
    """Which part of the network sees which sample, and which losses come of it."""

    @abstractmethod
    def build(self, wiring: Wiring) -> "RouterModule":
        """The module; `AssemblyError` where backbone and router do not fit."""

    @abstractmethod
    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        """The tasks' own loss terms, and after them the router's."""

    def head_features(self, features: int) -> int:
        """How wide the features are that heads see, next to a backbone with `features` of them."""
        return features

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Why this router cannot serve these tasks, found before anything is built."""
        return ()

    @property
    def shared_features(self) -> bool:
        """Whether all heads see the same features, at which gradients can then be compared.

        What a head sees may be made of these features alone (`RouterModule.own_features`).
        """
        return True

    @property
    def shared_last_layer(self) -> bool:
        """Whether every loss depends on the last layer before the features."""
        return self.shared_features


@attrs.frozen(kw_only=True)
class Unbranched(Router):
    """A router that adds no loss to those of the tasks."""

    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        return terms


@attrs.frozen(eq=False)
class Features:
    """Features of a batch: shared (N, D), and the maps before the last block if they are kept.

    If no features are shared (`Router.shared_features` is false), `shared` may be the mean of the
    tasks' own features, for evaluators that look at features.

    If `copies` is not empty, each head reads its own detached copy of the features, and branches
    read these features.
    """

    shared: Tensor
    maps: Tensor | None = None
    own: Mapping[str, Tensor] = attrs.field(factory=dict)  # features that one task reads
    copies: Mapping[str, "Features"] = attrs.field(factory=dict)  # by task, without `own`

    def of(self, task: str) -> Tensor:
        """Return the features (N, D) that the head of `task` reads."""
        return self.own.get(task, self.shared)


@attrs.frozen(eq=False)
class BranchOutputs:
    """What the branches of a task say.

    `logits` (N, G, C) are those of every branch, `probability` (N, G) that of each group, and
    `weights` (N, G) how much each branch counts by the chosen way of routing.
    """

    groups: tuple[str, ...]
    logits: Tensor
    probability: Tensor
    weights: Tensor

    @property
    def posterior(self) -> Tensor:
        """The class probabilities (N, C) after routing."""
        return (self.logits.softmax(dim=-1) * self.weights.unsqueeze(-1)).sum(dim=1)


class RouterModule(nn.Module, ABC):
    """Owns the way from inputs to the features of each task, and the branches, if any.

    `features` is the width D of `Features.shared`. A router that gives tasks features of their own
    gives them to every task, by name, in `Features.own`: those that are made of shared features in
    `own_features`, those of a network apart in `forward`. Gradients of tasks are compared at what
    `forward` gives, which is where the trunk ends.
    """

    features: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Features:
        """The features of inputs (N, ...)."""

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        """What each task makes of shared features (N, D), and of the maps where there are any.

        The features (N, width) that each head then sees; empty where no task makes anything. A
        router that answers this question answers it for every task.
        """
        return {}

    def own_modules(self) -> Sequence[nn.Module]:
        """The modules that `own_features` uses: like heads, they lie behind the shared features."""
        return ()

    @final
    def specialize(self, features: Features) -> Features:
        """Return `features` with the ones that each task computes for its own head.

        If each head reads its own copy, the task's features are computed from that copy.
        """
        if features.copies:
            own: Mapping[str, Tensor] = {
                task: self.own_features(copy.shared, copy.maps).get(task, copy.shared)
                for task, copy in features.copies.items()
            }
        else:
            own = self.own_features(features.shared, features.maps)
        return attrs.evolve(features, own={**features.own, **own}) if own else features

    @abstractmethod
    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Which samples (N,) have what each of the router's own terms needs, by its name.

        `present` says which targets of each task are there.
        """

    @abstractmethod
    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses (N,) of the router's own terms, by the name of the term."""

    @abstractmethod
    def branch_outputs(
        self,
        features: Features,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None,
    ) -> dict[str, BranchOutputs]:
        """What the branches say, by task; `targets` is needed where a label chooses the branch."""


class UnbranchedRouter(RouterModule):
    """A router without branches, and so without loss terms of its own."""

    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return {}

    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def branch_outputs(
        self,
        features: Features,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None,
    ) -> dict[str, BranchOutputs]:
        return {}
