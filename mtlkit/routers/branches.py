"""The contract of branches: what each group of samples has instead of the shared parts."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import Component
from mtlkit.routers.base import Features, Wiring

BRANCHES = "branches"
"""What the loss of a task's branches is called: ``identity.branches``."""


@attrs.frozen(kw_only=True)
class Branch(Component):
    """What each group has of its own; `leaves_early` where it is more than a head."""

    leaves_early: ClassVar[bool] = False

    @abstractmethod
    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        """The branches of `task` for `groups` groups."""


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
