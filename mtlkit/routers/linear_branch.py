"""A head for each group on the shared features (Yin & Liu, TIP 2018, section III.C).

Paper: Xi Yin and Xiaoming Liu, "Multi-Task Convolutional Neural Network for Pose-Invariant Face
Recognition", IEEE Transactions on Image Processing 2018.
"""

from typing import cast

import attrs
import torch
from torch import Tensor, nn

from mtlkit.heads.base import HeadModule
from mtlkit.heads.fusion import fusible, grouped_losses
from mtlkit.routers.base import Features, Wiring
from mtlkit.routers.branches import Branch, BranchesModule, losses_by_group


@attrs.frozen(kw_only=True)
class LinearBranch(Branch):
    """A separate head on the shared features (Yin & Liu, TIP 2018, section III.C, eq. 9-11)."""

    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        return LinearBranches(wiring, task, groups)


class LinearBranches(BranchesModule):
    """A head for each group on the shared features: W^l, W^f and W^r of the paper."""

    def __init__(self, wiring: Wiring, task: str, groups: int) -> None:
        super().__init__()
        size = wiring.backbone.features
        self.heads = nn.ModuleList(wiring.new_head(task, size) for _ in range(groups))

    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        heads = cast("list[HeadModule]", list(self.heads))
        fused = fusible(heads)
        if fused:
            return grouped_losses(fused, features.shared, target, group)

        def loss(number: int, index: Tensor) -> Tensor:
            return heads[number].loss(features.shared[index], target[index])

        return losses_by_group(group, len(heads), loss)

    def outputs(self, features: Features) -> Tensor:
        return torch.stack([head(features.shared) for head in self.heads], dim=1)
