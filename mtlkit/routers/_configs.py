"""The family of routers, the family of their branches, and the options of the built-in ones."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

import attrs

from mtlkit.component import Component, Problem, member_of
from mtlkit.task_types import LossTerm, TaskKind

if TYPE_CHECKING:
    from mtlkit.backbones.base import BackboneModule
    from mtlkit.heads.base import HeadModule
    from mtlkit.routers.base import RouterModule
    from mtlkit.routers.grouped import BranchesModule

BRANCHES = "branches"
"""What the loss of a task's branches is called: ``identity.branches``."""


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


@attrs.frozen(kw_only=True)
class Shared(Unbranched):
    """Hard sharing: every head sees every sample's shared features."""

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.shared import SharedRouter

        return SharedRouter(wiring.backbone)


class BranchSelection(Enum):
    """How a branch is chosen at test time."""

    EXPECTED = "expected"  # every branch, weighed by its group's probability: stochastic routing
    BEST = "best"  # the branch of the most probable group
    LABEL = "label"  # the branch of the labelled group


@attrs.frozen(kw_only=True)
class Branch(Component):
    """What each group has of its own; `leaves_early` where it is more than a head."""

    leaves_early: ClassVar[bool] = False

    @abstractmethod
    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        """The branches of `task` for `groups` groups."""


@attrs.frozen(kw_only=True)
class LinearBranch(Branch):
    """A head of its own on the shared features (Yin & Liu, TIP 2018, section III.C, eq. 9-11)."""

    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        from mtlkit.routers.grouped import LinearBranches

        return LinearBranches(wiring, task, groups)


@attrs.frozen(kw_only=True)
class BlockBranch(Branch):
    """A last block of the backbone of its own, one head for all (the authors' released nets)."""

    leaves_early: ClassVar[bool] = True

    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        from mtlkit.routers.grouped import BlockBranches

        return BlockBranches(wiring, task, groups)


@attrs.frozen(kw_only=True)
class Grouped(Router):
    """Branches for groups of samples (the pose-directed network of Yin & Liu, TIP 2018, eq. 9-12).

    `task` gets the branches beside its own head. `by` is a classification task: its label chooses
    the branch in training; at test its prediction does, or its label, as `test` says. `groups`
    names each group's classes; every class of `by` belongs to exactly one group.
    """

    task: str
    by: str
    groups: Mapping[str, tuple[str | int | float, ...]]
    branch: Branch = attrs.field(factory=LinearBranch)
    test: BranchSelection = attrs.field(
        default=BranchSelection.EXPECTED, validator=member_of(BranchSelection)
    )

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = {term.task: term for term in terms}
        for field in ("task", "by"):
            name = getattr(self, field)
            if name not in known:
                tasks = ", ".join(known)
                yield Problem(("routing", field), f"no task named {name!r}; the tasks are {tasks}")
            elif known[name].kind is not TaskKind.CLASSIFICATION:
                yield Problem(("routing", field), f"the task {name!r} predicts no classes")
        if len(self.groups) < 2:
            yield Problem(
                ("routing", "groups"), f"expected two groups or more, found {len(self.groups)}"
            )
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
            for member in map(class_name, members):
                if member in seen:
                    yield Problem(
                        ("routing", "groups", group),
                        f"the class {member!r} stands in the group {seen[member]!r} already",
                    )
                seen[member] = group

    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        own = [attrs.evolve(t, name=f"{t.task}.{BRANCHES}") for t in terms if t.task == self.task]
        return (*terms, *own)

    @property
    def shared_last_layer(self) -> bool:
        return not self.branch.leaves_early

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.grouped import GroupedRouter

        return GroupedRouter(self, wiring)


def class_name(label: str | int | float) -> str:
    """A class as it is written in a vocabulary.

    >>> class_name(-90), class_name(7.5), class_name(30.0), class_name("left")
    ('-90', '7.5', '30', 'left')
    """
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label) if whole else label)
