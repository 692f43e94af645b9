"""A head for each group on the shared features (Yin & Liu, TIP 2018, section III.C).

Paper: Xi Yin and Xiaoming Liu, "Multi-Task Convolutional Neural Network for Pose-Invariant Face
Recognition", IEEE Transactions on Image Processing 2018.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.heads.base import HeadModule
from mtlkit.heads.classification import is_plain
from mtlkit.ops import grouped_linear_cross_entropy
from mtlkit.routers.base import Features, Wiring
from mtlkit.routers.branches import Branch, BranchesModule, losses_by_group
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class LinearBranch(Branch):
    """A head of its own on the shared features (Yin & Liu, TIP 2018, section III.C, eq. 9-11)."""

    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        return LinearBranches(wiring, task, groups)


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
