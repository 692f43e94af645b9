"""Branches for groups of samples: the pose-directed network of Yin & Liu (TIP 2018), in general.

A sample's group is that of its class in the task `by`: labelled in training (eq. 9, the batch
split), predicted at test (eq. 12). Shapes: N samples, D features, C classes, G groups.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones.base import SplittableBackbone
from mtlkit.errors import AssemblyError, DataError
from mtlkit.heads.base import HeadModule
from mtlkit.heads.classification import is_plain
from mtlkit.ops import grouped_linear_cross_entropy
from mtlkit.routers._configs import BRANCHES, BranchSelection, Grouped, Wiring, class_name
from mtlkit.routers.base import BranchOutputs, Features, RouterModule
from mtlkit.task_types import MISSING

NO_GROUP = -1


class BranchesModule(nn.Module, ABC):
    """The G branches of one task."""

    @abstractmethod
    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        """The losses (N,) in float32 of samples of a `group` (N,); 0 where that is -1."""

    @abstractmethod
    def outputs(self, features: Features) -> Tensor:
        """The raw outputs of every branch for every sample (N, G, C)."""


def losses_by_group(group: Tensor, groups: int, loss: Callable[[int, Tensor], Tensor]) -> Tensor:
    """The losses (N,), from those (M,) of the samples at an index (M,) in each `group` (N,)."""
    losses = torch.zeros(len(group), device=group.device)
    for number in range(groups):
        index = (group == number).nonzero().squeeze(1)
        if len(index) > 0:
            losses = losses.index_add(0, index, loss(number, index))
    return losses


class LinearBranches(BranchesModule):
    """A head for each group on the shared features: the paper's form, W^l, W^f and W^r."""

    def __init__(self, wiring: Wiring, task: str, groups: int) -> None:
        super().__init__()
        size = wiring.backbone.features
        self.heads = nn.ModuleList(wiring.new_head(task, size) for _ in range(groups))

    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        plain = [head for head in self.heads if is_plain(head)]
        if len(plain) == len(self.heads):
            return grouped_linear_cross_entropy(
                features.shared,
                [head.linear.weight for head in plain],
                target,
                group,
                [head.linear.bias for head in plain],
                ignore_index=MISSING,
                label_smoothing=plain[0].label_smoothing,
                reduction="none",
            )

        def loss(number: int, index: Tensor) -> Tensor:
            head = self.heads[number]
            assert isinstance(head, HeadModule)
            return head.loss(features.shared[index], target[index])

        return losses_by_group(group, len(self.heads), loss)

    def outputs(self, features: Features) -> Tensor:
        return torch.stack([head(features.shared) for head in self.heads], dim=1)


class BlockBranches(BranchesModule):
    """A last block for each group and one head for all: the form of the authors' released nets.

    Each block sees its own samples only, so that its batch statistics are theirs; the released
    nets let the zero rows of the other groups in.
    """

    def __init__(self, wiring: Wiring, task: str, groups: int) -> None:
        super().__init__()
        if not isinstance(wiring.backbone, SplittableBackbone):
            raise AssemblyError(
                f"routing.branch: {type(wiring.backbone).__name__} cannot be taken apart before "
                f"its last block; use `branch: linear`, or a backbone such as casia-net"
            )
        self.blocks = nn.ModuleList(wiring.backbone.new_tail() for _ in range(groups))
        self.head = wiring.new_head(task, wiring.backbone.features)

    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        assert features.maps is not None
        maps = features.maps

        def loss(number: int, index: Tensor) -> Tensor:
            block = self.blocks[number]
            if self.training and len(index) == 1:
                # one sample has no batch statistics; the running ones serve it
                block.eval()
                own = block(maps[index])
                block.train()
            else:
                own = block(maps[index])
            return self.head.loss(own, target[index])

        return losses_by_group(group, len(self.blocks), loss)

    def outputs(self, features: Features) -> Tensor:
        assert features.maps is not None
        return torch.stack([self.head(block(features.maps)) for block in self.blocks], dim=1)


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
                f"routing.test is 'label': the labels of {self.by!r} are needed to choose branches"
            )
        group = self.groups_of(targets[self.by])
        if (group == NO_GROUP).any():
            raise DataError(
                f"routing.test is 'label': {int((group == NO_GROUP).sum())} samples have no label "
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
                f"routing.groups: {what}: {', '.join(strays)}; "
                f"the classes of {config.by!r} are {', '.join(classes)}"
            )
    return torch.tensor([place[name] for name in classes] + [NO_GROUP])
