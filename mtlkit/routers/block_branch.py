"""A last block for each group and one head for all (the released nets of Yin & Liu).

Paper: Xi Yin and Xiaoming Liu, "Multi-Task Convolutional Neural Network for Pose-Invariant Face
Recognition", IEEE Transactions on Image Processing 2018.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import SplittableBackbone
from mtlkit.errors import AssemblyError
from mtlkit.routers.base import Features, Wiring
from mtlkit.routers.branches import Branch, BranchesModule, losses_by_group


@attrs.frozen(kw_only=True)
class BlockBranch(Branch):
    """A last block of the backbone of its own, one head for all (the authors' released nets)."""

    leaves_early: ClassVar[bool] = True

    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        return BlockBranches(wiring, task, groups)


class BlockBranches(BranchesModule):
    """A last block for each group and one head for all: the form of the authors' released nets.

    Each block sees its own samples only, so that its batch statistics are theirs; the released
    nets let the zero rows of the other groups in.
    """

    def __init__(self, wiring: Wiring, task: str, groups: int) -> None:
        super().__init__()
        if not isinstance(wiring.backbone, SplittableBackbone):
            raise AssemblyError(
                f"router.branch: {type(wiring.backbone).__name__} cannot be taken apart before "
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
