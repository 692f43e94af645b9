"""The branch `scaled`."""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.routers import Branch, BranchesModule, Features, Wiring


@attrs.frozen(kw_only=True)
class Scaled(Branch):
    """One head for all groups, which reads the features scaled by learned factors of the group."""

    def build(self, wiring: Wiring, task: str, groups: int) -> BranchesModule:
        return ScaledBranches(wiring, task, groups)


class ScaledBranches(BranchesModule):
    """The head of a task on s_g * x for the features x (N, D) of samples in group g."""

    def __init__(self, wiring: Wiring, task: str, groups: int) -> None:
        super().__init__()
        features = wiring.backbone.features
        self.head = wiring.new_head(task, features)
        self.scales = nn.Parameter(torch.ones(groups, features.width))

    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        # samples without a group (-1) have a loss of 0, and no gradient
        scaled = features.shared * self.scales[group.clamp(min=0)]
        return torch.where(group >= 0, self.head.loss(scaled, target), 0.0)

    def outputs(self, features: Features) -> Tensor:
        return torch.stack([self.head(features.shared * scale) for scale in self.scales], dim=1)
