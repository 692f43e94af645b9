"""Branches for groups of samples, generalizing the pose-directed network of Yin & Liu (TIP 2018).

The class of a sample in the task `by` selects its group: the label in training (eq. 9, the batch
split), the prediction at test (eq. 12). Shapes: N samples, D features, C classes, G groups.

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
from mtlkit.features.inputs import Batch
from mtlkit.routers.base import BranchOutputs, Features, Router, RouterModule, Wiring
from mtlkit.routers.branches import BRANCHES, Branch
from mtlkit.routers.linear_branch import LinearBranch
from mtlkit.targets.class_label import ClassTarget
from mtlkit.task_types import LossTerm


class BranchSelection(Enum):
    """Selection of branches at test time."""

    EXPECTED = "expected"  # all branches, weighted by group probability: stochastic routing
    BEST = "best"  # the branch of the most probable group
    LABEL = "label"  # the branch of the labeled group


@attrs.frozen(kw_only=True)
class Grouped(Router):
    """Branches for groups of samples (the pose-directed network of Yin & Liu, TIP 2018, eq. 9-12).

    `task` has the branches in addition to its head. `by` is a classification task: its label
    selects the branch in training, its prediction or label at test, according to `test`. `groups`
    lists the classes of each group; every class of `by` belongs to exactly one group.
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
            elif not known[name].predicts(ClassTarget):
                yield Problem(("router", field), f"the task {name!r} predicts no classes")
        if len(self.groups) < 2:
            yield Problem(
                ("router", "groups"), f"expected two groups or more, got {len(self.groups)}"
            )
        group_of: dict[str, str] = {}
        for group, members in self.groups.items():
            for member in map(class_name, members):
                if member in group_of:
                    yield Problem(
                        ("router", "groups", group),
                        f"the class {member!r} is already in the group {group_of[member]!r}; "
                        f"remove it from one of them",
                    )
                group_of[member] = group

    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        added = [attrs.evolve(t, name=f"{t.task}.{BRANCHES}") for t in terms if t.task == self.task]
        return (*terms, *added)

    @property
    def shared_last_layer(self) -> bool:
        return not self.branch.copies_last_block

    def build(self, wiring: Wiring) -> "RouterModule":
        return GroupedRouter(self, wiring)


def class_name(label: str | int | float) -> str:
    """Return the name of a class as the data spells it.

    >>> class_name(-90), class_name(7.5), class_name(30.0), class_name("left")
    ('-90', '7.5', '30', 'left')
    """
    integral = isinstance(label, float) and label.is_integer()
    return str(int(label) if integral else label)


NO_GROUP = -1


class GroupedRouter(RouterModule):
    """One backbone for all tasks, and branches of one task for groups of samples."""

    def __init__(self, config: Grouped, wiring: Wiring) -> None:
        super().__init__()
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.task, self.by, self.choice = config.task, config.by, config.test
        self.groups = tuple(config.groups)
        self.term = f"{config.task}.{BRANCHES}"
        self.branches = config.branch.build(wiring, config.task, len(self.groups))
        table = _group_table(config, wiring.classes[config.by])
        self.group_of = nn.Buffer(table, persistent=False)

    def forward(self, inputs: Batch) -> Features:
        if isinstance(self.backbone, SplittableBackbone):
            maps = self.backbone.stem(inputs)
            return Features(self.backbone.tail(maps), maps)
        return Features(self.backbone(inputs))

    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        grouped = self.groups_of(targets[self.by]) != NO_GROUP
        grouped = grouped.to(targets[self.by].device)  # the update counts labels on the CPU
        return {self.term: present[self.task] & grouped}

    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        group = self.groups_of(targets[self.by])
        losses = self.branches.losses(group, features, targets[self.task])
        return {self.term: losses + _zero(self.branches, features)}

    def branch_outputs(
        self, features: Features, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor] | None
    ) -> dict[str, BranchOutputs]:
        posterior = logits[self.by].float().softmax(dim=1)
        member = F.one_hot(self.group_of[:-1], len(self.groups)).to(posterior)
        probability = posterior @ member
        weights = self._weights(probability, targets)
        outputs = self.branches.outputs(features).float()
        return {self.task: BranchOutputs(self.groups, outputs, probability, weights)}

    def groups_of(self, by: Tensor) -> Tensor:
        """Return the group (N,) of each label of the task `by`; -1 if the label is missing."""
        return self.group_of[by]

    def _weights(self, probability: Tensor, targets: Mapping[str, Tensor] | None) -> Tensor:
        if self.choice is BranchSelection.EXPECTED:
            return probability
        if self.choice is BranchSelection.BEST:
            return F.one_hot(probability.argmax(dim=1), len(self.groups)).to(probability)
        if targets is None:
            raise DataError(
                f"router.test is 'label': the labels of {self.by!r} are needed to select branches; "
                f"use `test: expected`"
            )
        group = self.groups_of(targets[self.by])
        if (group == NO_GROUP).any():
            raise DataError(
                f"router.test is 'label': {int((group == NO_GROUP).sum())} samples have no label "
                f"of {self.by!r}; use `test: expected`"
            )
        return F.one_hot(group, len(self.groups)).to(probability)


def _zero(branches: nn.Module, features: Features) -> Tensor:
    """Return 0, with a gradient of zero for parameters and features that no sample uses."""
    return sum((p.sum() * 0.0 for p in branches.parameters()), features.shared.sum() * 0.0).float()


def _group_table(config: Grouped, classes: tuple[str, ...]) -> Tensor:
    """Return the group of each class (C + 1,); the last entry is that of a missing label, -1."""
    index = {
        class_name(member): number
        for number, members in enumerate(config.groups.values())
        for member in members
    }
    for names, mistake in (
        ([c for c in classes if c not in index], "classes without a group"),
        ([c for c in index if c not in classes], "classes that the data does not have"),
    ):
        if names:
            raise AssemblyError(
                f"router.groups: got {mistake}: {', '.join(names)}; "
                f"the classes of {config.by!r} are {', '.join(classes)}"
            )
    return torch.tensor([index[name] for name in classes] + [NO_GROUP])
