"""Base classes of routers, which select the part of the network for each task and sample."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, final

import attrs
from torch import Tensor, nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.component import Component, Problem
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.inputs import Batch, InputSpecs
from mtlkit.features.vectors import VectorFeatures
from mtlkit.heads.base import HeadModule
from mtlkit.task_types import LossTerm


@attrs.frozen(kw_only=True)
class Wiring:
    """Inputs of `Router.build`: the backbone, the tasks, and factories of backbones and heads."""

    backbone: "BackboneModule"
    inputs: InputSpecs  # of the backbone
    new_backbone: "Callable[[], BackboneModule]"  # returns another backbone with its own weights
    tasks: tuple[str, ...]
    new_head: "Callable[[str, FeatureSpec], HeadModule]"  # (task, features) to a new head of it
    classes: Mapping[str, tuple[str, ...]]  # class names of each classification task


@attrs.frozen(kw_only=True)
class Router(Component):
    """Options of a router, which selects the features of each head and adds losses of branches.

    `reads` are the kinds of features of the backbones that the router supports.
    """

    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (VectorFeatures,)

    calls_backbone: ClassVar[bool] = False
    """True if it calls the one backbone as a whole, so that processes can divide its parameters."""

    @abstractmethod
    def build(self, wiring: Wiring) -> "RouterModule":
        """Return the module. Raises `AssemblyError` if the backbone does not fit the router."""

    @abstractmethod
    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        """Return the loss terms of the tasks, followed by those of the router."""

    def head_features(self, features: FeatureSpec) -> FeatureSpec:
        """Return the spec of the features of each task, from that of the backbone's."""
        return features

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Yield the reasons why this router does not fit the tasks; called before `build`."""
        return ()

    @property
    def shared_features(self) -> bool:
        """Return True if all heads depend on the backbone only through shared features.

        Gradients can then be compared at these features. Each head may still read a function of
        them (`RouterModule.own_features`).
        """
        return True

    @property
    def shared_last_layer(self) -> bool:
        """Return True if every loss depends on the last layer before the features."""
        return self.shared_features


@attrs.frozen(kw_only=True)
class Unbranched(Router):
    """A router that adds no loss terms."""

    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        return terms


@attrs.frozen(eq=False)
class Features:
    """Features of a batch: the shared ones, and the maps before the last block if they are kept.

    If no features are shared (`Router.shared_features` is False), `shared` may be the mean over
    tasks of `per_task`, for evaluators that read features.

    If `copies` is not empty, each head reads its own detached copy of the features, and branches
    read these features. `sources` names the tensor of a task in `per_task`, if several tasks read
    one; losses of heads that read one tensor are computed together.
    """

    shared: Tensor
    maps: Tensor | None = None
    per_task: Mapping[str, Tensor] = attrs.field(factory=dict)  # features that one task reads
    copies: Mapping[str, "Features"] = attrs.field(factory=dict)  # by task, without `per_task`
    context: Context = attrs.field(factory=dict)  # not differentiated, such as a mask of tokens
    sources: Mapping[str, str] = attrs.field(factory=dict)

    def of(self, task: str) -> Tensor:
        """Return the features of `task`."""
        return self.per_task.get(task, self.shared)

    def source(self, task: str) -> str:
        """Return the name of the tensor of `task`, "" for the shared one.

        Tasks whose tensors have the same name read the same tensor.
        """
        return self.sources.get(task, task) if task in self.per_task else ""


@attrs.frozen(eq=False)
class BranchOutputs:
    """Outputs of the branches of a task.

    `logits` (N, G, C) are those of every branch, `probability` (N, G) is that of each group, and
    `weights` (N, G) are the branches' weights under the selected routing.
    """

    groups: tuple[str, ...]
    logits: Tensor
    probability: Tensor
    weights: Tensor

    @property
    def posterior(self) -> Tensor:
        """Class probabilities (N, C) after routing."""
        return (self.logits.softmax(dim=-1) * self.weights.unsqueeze(-1)).sum(dim=1)


class RouterModule(nn.Module, ABC):
    """Maps inputs to the features of each task, and computes the branches if there are any.

    `features` describes `Features.shared`. A router with separate features for tasks
    returns them for every task in `Features.per_task`: functions of shared features from
    `own_features`, outputs of separate networks from `forward`. Gradients of tasks are compared at
    the output of `forward`, the end of the shared network.
    """

    features: FeatureSpec

    @abstractmethod
    def forward(self, inputs: Batch) -> Features:
        """Return the features of normalized inputs."""

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        """Return the features of each task from shared features and maps.

        Empty if heads read the shared features; otherwise it has an entry for every task.
        """
        return {}

    def own_modules(self) -> Sequence[nn.Module]:
        """Return the modules that `own_features` uses; they train as heads do."""
        return ()

    @final
    def specialize(self, features: Features) -> Features:
        """Return `features` with the ones that each task computes for its own head.

        If each head reads its own copy, the task's features are computed from that copy.
        """
        if features.copies:
            computed: Mapping[str, Tensor] = {
                task: self.own_features(copy.shared, copy.maps).get(task, copy.shared)
                for task, copy in features.copies.items()
            }
        else:
            computed = self.own_features(features.shared, features.maps)
        if not computed:
            return features
        per_task = {**features.per_task, **computed}
        return Features(features.shared, features.maps, per_task, features.copies, features.context)

    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return a mask (N,) of the samples with a loss, for each of the router's terms by name.

        `present` masks the samples with a target of each task.
        """
        return {}

    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses (N,) of the router's terms by name."""
        return {}

    def branch_outputs(
        self, features: Features, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor] | None
    ) -> dict[str, BranchOutputs]:
        """Return the branch outputs by task; `targets` is needed if labels select the branch."""
        return {}


class UnbranchedRouter(RouterModule):
    """A router without branches, which adds no loss terms."""
