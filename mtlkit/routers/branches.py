"""Base classes of branches, the parts of the network that belong to one group of samples."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import Component
from mtlkit.routers.base import Features, Wiring

BRANCHES = "branches"
"""Suffix of the name of the branches' loss: ``identity.branches``."""


@attrs.frozen(kw_only=True)
class Branch(Component):
    """Options of the branch of each group.

    `copies_last_block` is True if a branch replaces the last block of the backbone, and not only
    the head.
    """

    copies_last_block: ClassVar[bool] = False

    @abstractmethod
    def build(self, wiring: Wiring, task: str, groups: int) -> "BranchesModule":
        """Return the branches of `task` for `groups` groups."""


class BranchesModule(nn.Module, ABC):
    """The G branches of one task."""

    @abstractmethod
    def losses(self, group: Tensor, features: Features, target: Tensor) -> Tensor:
        """Return the float32 losses (N,) of samples by their `group` (N,); 0 for group -1."""

    @abstractmethod
    def outputs(self, features: Features) -> Tensor:
        """Return the raw outputs of every branch for every sample (N, G, C)."""


def losses_by_group(group: Tensor, groups: int, loss: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Return losses (N,), where ``loss(g, index)`` returns those (M,) of the samples of group g."""
    losses = torch.zeros(len(group), device=group.device)
    for number in range(groups):
        index = (group == number).nonzero().squeeze(1)
        if len(index) > 0:
            losses = losses.index_add(0, index, loss(number, index))
    return losses
