"""Samples that are drawn for an update, and the groups for which they are drawn."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class Origins:
    """The group for which each sample (N,) is drawn, and the earlier passes over that group."""

    groups: Tensor
    passes: Tensor

    def at(self, index: Tensor) -> "Origins":
        """Return the origins of the samples at `index` (M,)."""
        return Origins(self.groups[index], self.passes[index])


@attrs.frozen(eq=False)
class Drawn:
    """Indices (N,) of samples in the training split, with their origins if drawn by group."""

    samples: Tensor
    origins: Origins | None = None

    def at(self, index: Tensor) -> "Drawn":
        """Return the samples at `index` (M,) of these."""
        return Drawn(self.samples[index], None if self.origins is None else self.origins.at(index))

    def split(self, count: int) -> "list[Drawn]":
        """Divide the samples into `count` parts whose sizes differ by at most one."""
        if self.origins is None:
            return [Drawn(part) for part in self.samples.tensor_split(count)]
        parts = torch.arange(len(self.samples)).tensor_split(count)
        return [self.at(index) for index in parts]

    def by_group(self) -> "list[Drawn]":
        """Return the samples of each group, in the order of the groups."""
        if self.origins is None:
            return [self]
        groups = self.origins.groups
        numbers = sorted(set(groups.tolist()))
        return [self.at((groups == number).nonzero().flatten()) for number in numbers]


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Return the samples of all `parts`, one part after another.

    >>> joined([Drawn(torch.tensor([2])), Drawn(torch.tensor([0, 1]))]).samples.tolist()
    [2, 0, 1]
    """
    samples = torch.cat([part.samples for part in parts])
    origins = [part.origins for part in parts if part.origins is not None]
    if not origins:
        return Drawn(samples)
    groups = torch.cat([origin.groups for origin in origins])
    return Drawn(samples, Origins(groups, torch.cat([origin.passes for origin in origins])))
