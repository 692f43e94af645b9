"""Second identity head without poses: the controls of the pose-directed network.

The network of Yin & Liu (TIP 2018) matches by two templates, and its branches add parameters.
A second head that sees every sample has both, without the poses.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

import attrs
import torch
from torch import Tensor

from mtlkit.backbones import Batch, SplittableBackbone
from mtlkit.plugins import AssemblyError, LossTerm, Problem, member_of
from mtlkit.routers import BranchesModule, BranchOutputs, Features, Router, RouterModule, Wiring


class SharedPart(Enum):
    """Part of the network that the second head shares with the first."""

    FEATURES = "features"  # all but the classifier
    STEM = "stem"  # all but the last block and the classifier
    NOTHING = "nothing"  # two networks: an ensemble of two initializations


@attrs.frozen(kw_only=True)
class SecondHead(Router):
    """Second head of one task, with its own loss, for every sample.

    Outputs of the two heads are matched as one template (eq. 12 of Yin & Liu with one group).
    `shares` is the part of the backbone that both heads read: its features, its stem before the
    last block, or nothing. Nothing shared makes two networks that train on the same batches.

    >>> SecondHead(task="identity").shares.value
    'features'
    """

    task: str
    shares: SharedPart = attrs.field(default=SharedPart.FEATURES, validator=member_of(SharedPart))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = dict.fromkeys(term.task for term in terms)
        if self.task not in known:
            tasks = ", ".join(known)
            yield Problem(("router", "task"), f"no task named {self.task!r}; the tasks are {tasks}")

    def terms(self, terms: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        added = [attrs.evolve(t, name=_second(t.task)) for t in terms if t.task == self.task]
        return (*terms, *added)

    @property
    def shared_last_layer(self) -> bool:
        return self.shares is SharedPart.FEATURES

    def build(self, wiring: Wiring) -> "SecondHeadRouter":
        return SecondHeadRouter(self, wiring)


def _second(task: str) -> str:
    return f"{task}.second"


class SecondBranch(BranchesModule):
    """The second head, and the part of the network that it does not share."""

    def __init__(self, config: SecondHead, wiring: Wiring) -> None:
        super().__init__()
        self.shares = config.shares
        if self.shares is SharedPart.STEM:
            if not isinstance(wiring.backbone, SplittableBackbone):
                raise AssemblyError(
                    f"router: {type(wiring.backbone).__name__} cannot be split before its last "
                    f"block; use a backbone such as casia-net, or `shares: features`"
                )
            self.block = wiring.backbone.new_tail()
        elif self.shares is SharedPart.NOTHING:
            self.backbone = wiring.new_backbone()
        self.head = wiring.new_head(config.task, wiring.backbone.features)

    def _read(self, features: Features) -> Tensor:
        if self.shares is SharedPart.FEATURES:
            return features.shared
        assert features.maps is not None
        if self.shares is SharedPart.STEM:
            block: Tensor = self.block(features.maps)
            return block
        return features.maps

    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        return self.head.loss(self._read(features), target)

    def outputs(self, features: Features) -> Tensor:
        logits: Tensor = self.head(self._read(features))
        return logits.unsqueeze(1)


class SecondHeadRouter(RouterModule):
    """Backbone of all tasks, and a second head of one task for every sample."""

    def __init__(self, config: SecondHead, wiring: Wiring) -> None:
        super().__init__()
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.task = config.task
        self.second = SecondBranch(config, wiring)

    def forward(self, inputs: Batch) -> Features:
        if self.second.shares is SharedPart.NOTHING:
            # the second network's features take the place of the maps that branches read
            return Features(self.backbone(inputs), self.second.backbone(inputs))
        if isinstance(self.backbone, SplittableBackbone):
            maps = self.backbone.stem(inputs)
            return Features(self.backbone.tail(maps), maps)
        return Features(self.backbone(inputs))

    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return {_second(self.task): present[self.task]}

    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        target = targets[self.task]
        return {_second(self.task): self.second.losses(torch.zeros_like(target), features, target)}

    def branch_outputs(
        self,
        features: Features,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None,
    ) -> dict[str, BranchOutputs]:
        outputs = self.second.outputs(features).float()
        one = outputs.new_ones(len(outputs), 1)
        return {self.task: BranchOutputs(("second",), outputs, one, one)}
