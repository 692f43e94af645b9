"""Branches for groups of samples: the pose-directed network of Yin & Liu (TIP 2018), in general.

A sample's group is that of its class in the task `by`: labelled in training (eq. 9, the batch
split), predicted at test (eq. 12). Shapes: N samples, D features, C classes, G groups.

Paper: Xi Yin and Xiaoming Liu, "Multi-Task Convolutional Neural Network for Pose-Invariant Face
Recognition", IEEE Transactions on Image Processing 2018.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones.base import SplittableBackbone
from mtlkit.component import Problem, member_of
from mtlkit.errors import AssemblyError, DataError
from mtlkit.routers.base import BranchOutputs, Features, Router, RouterModule, Wiring
from mtlkit.routers.branches import BRANCHES, Branch
from mtlkit.routers.linear_branch import LinearBranch
from mtlkit.task_types import LossTerm, TaskKind


class BranchSelection(Enum):
    """How a branch is chosen at test time."""

    EXPECTED = "expected"  # every branch, weighed by its group's probability: stochastic routing
    BEST = "best"  # the branch of the most probable group
    LABEL = "label"  # the branch of the labelled group


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
                yield Problem(("router", field), f"no task named {name!r}; the tasks are {tasks}")
            elif known[name].kind is not TaskKind.CLASSIFICATION:
                yield Problem(("router", field), f"the task {name!r} predicts no classes")
        if len(self.groups) < 2:
            yield Problem(
                ("router", "groups"), f"expected two groups or more, found {len(self.groups)}"
            )
        seen: dict[str, str] = {}
        for group, members in self.groups.items():
            for member in map(class_name, members):
                if member in seen:
                    yield Problem(
                        ("router", "groups", group),
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
        return GroupedRouter(self, wiring)


def class_name(label: str | int | float) -> str:
    """A class as it is written in a vocabulary.

    >>> class_name(-90), class_name(7.5), class_name(30.0), class_name("left")
    ('-90', '7.5', '30', 'left')
    """
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label) if whole else label)


NO_GROUP = -1


class GroupedRouter(RouterModule):
    """One backbone for all tasks, and branches of one task for groups of samples."""

    group_of: Tensor

    def __init__(self, config: Grouped, wiring: Wiring) -> None:
        super().__init__()
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.task, self.by, self.choice = config.task, config.by, config.test
        self.groups = tuple(config.groups)
        self.term = f"{config.task}.{BRANCHES}"
        self.branches = config.branch.build(wiring, config.task, len(self.groups))
        table = _group_table(config, wiring.classes[config.by])
        self.register_buffer("group_of", table, persistent=False)

    def forward(self, inputs: Tensor) -> Features:
        if isinstance(self.backbone, SplittableBackbone):
            maps = self.backbone.stem(inputs)
            return Features(self.backbone.tail(maps), maps)
        return Features(self.backbone(inputs))

    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        grouped = self.groups_of(targets[self.by]) != NO_GROUP
        return {self.term: present[self.task] & grouped}

    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        group = self.groups_of(targets[self.by])
        losses = self.branches.losses(group, features, targets[self.task])
        return {self.term: losses + _zero(self.branches, features)}

    def branch_outputs(
        self,
        features: Features,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None,
    ) -> dict[str, BranchOutputs]:
        posterior = logits[self.by].float().softmax(dim=1)
        member = F.one_hot(self.group_of[:-1], len(self.groups)).to(posterior)
        probability = posterior @ member
        weights = self._weights(probability, targets)
        outputs = self.branches.outputs(features).float()
        return {self.task: BranchOutputs(self.groups, outputs, probability, weights)}

    def groups_of(self, by: Tensor) -> Tensor:
        """The group (N,) of each label of the task `by`; -1 where the label is missing."""
        return self.group_of[by]

    def _weights(self, probability: Tensor, targets: Mapping[str, Tensor] | None) -> Tensor:
        if self.choice is BranchSelection.EXPECTED:
            return probability
        if self.choice is BranchSelection.BEST:
            return F.one_hot(probability.argmax(dim=1), len(self.groups)).to(probability)
        if targets is None:
            raise DataError(
                f"router.test is 'label': the labels of {self.by!r} are needed to choose branches"
            )
        group = self.groups_of(targets[self.by])
        if (group == NO_GROUP).any():
            raise DataError(
                f"router.test is 'label': {int((group == NO_GROUP).sum())} samples have no label "
                f"of {self.by!r}; use `test: expected`"
            )
        return F.one_hot(group, len(self.groups)).to(probability)


def _zero(branches: nn.Module, features: Features) -> Tensor:
    """Zero, with a zero gradient rather than none for whatever no sample reaches."""
    return sum((p.sum() * 0.0 for p in branches.parameters()), features.shared.sum() * 0.0).float()


def _group_table(config: Grouped, classes: tuple[str, ...]) -> Tensor:
    """The group of each class (C + 1,); the last entry is that of the missing label, -1."""
    place = {
        class_name(member): number
        for number, members in enumerate(config.groups.values())
        for member in members
    }
    for strays, what in (
        ([c for c in classes if c not in place], "classes that stand in no group"),
        ([c for c in place if c not in classes], "members of groups that the data does not have"),
    ):
        if strays:
            raise AssemblyError(
                f"router.groups: {what}: {', '.join(strays)}; "
                f"the classes of {config.by!r} are {', '.join(classes)}"
            )
    return torch.tensor([place[name] for name in classes] + [NO_GROUP])
