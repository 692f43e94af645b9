"""Where the gradients of the tasks are taken, and how a direction is carried back to there.

A provider sees the network cut at the features and the tasks' gradients there, `own` (T, F): F
elements of the features of this rank's micro-batch. Shapes: T loss terms, P the elements that the
provider's gradients have, over all ranks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mtlkit.errors import AssemblyError
from mtlkit.routers.base import RouterModule
from mtlkit.routers.branches import BranchesModule
from mtlkit.training.gradients.features import (
    DetachedFeatures,
    carried,
    gather_columns,
    gramian_of,
    own_columns,
)
from mtlkit.training.gradients.segment_gramian import segment_gramian, segments_of
from mtlkit.training.ranks import Ranks
from mtlkit.weightings.base import GradientLocation


class GradientSource(ABC):
    """The tasks' gradients at one place of the network."""

    @abstractmethod
    def rows(self, at: DetachedFeatures, own: Tensor) -> Tensor:
        """The part of the gradients that this micro-batch of this rank gives, one row a task."""

    @abstractmethod
    def joined(self, rows: Sequence[Tensor]) -> Tensor:
        """The Jacobian (T, P) of the whole update, from the `rows` of this rank's micro-batches."""

    @abstractmethod
    def gramian(self, rows: Sequence[Tensor]) -> Tensor:
        """The Gramian (T, T) of the whole update, from the `rows` of this rank's micro-batches."""

    @abstractmethod
    def gramian_at(self, at: DetachedFeatures, own: Tensor) -> Tensor:
        """The Gramian (T, T) of an update that is one micro-batch."""

    @abstractmethod
    def parts(self, direction: Tensor, rows: Sequence[Tensor], count: int) -> list[Tensor]:
        """What each of this rank's `count` micro-batches carries of a `direction` (P,)."""

    @abstractmethod
    def carry(self, at: DetachedFeatures, part: Tensor) -> Tensor:
        """A scalar whose gradient, summed over micro-batches and ranks, is the direction."""


class AtFeatures(GradientSource):
    """At the shared features: each sample has its own, so the rows of parts stand side by side."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def rows(self, at: DetachedFeatures, own: Tensor) -> Tensor:
        return own

    def joined(self, rows: Sequence[Tensor]) -> Tensor:
        return gather_columns(torch.cat(list(rows), dim=1), self.ranks)

    def gramian(self, rows: Sequence[Tensor]) -> Tensor:
        return self.ranks.sum(torch.stack([gramian_of(each) for each in rows]).sum(dim=0))

    def gramian_at(self, at: DetachedFeatures, own: Tensor) -> Tensor:
        return self.gramian([own])

    def parts(self, direction: Tensor, rows: Sequence[Tensor], count: int) -> list[Tensor]:
        own = own_columns(direction, torch.cat(list(rows), dim=1), self.ranks)
        return list(torch.split(own, [each.shape[1] for each in rows]))

    def carry(self, at: DetachedFeatures, part: Tensor) -> Tensor:
        return carry_into_trunk(at, part)


class AtParameters(GradientSource):
    """At parameters: every sample has a part in each, so the rows of parts are summed.

    A Gramian of one micro-batch is made by segments (`segment_gramian`); several need the
    rows, for the gradients must be summed before they are multiplied. They are summed as they come.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
        self.parameters = tuple(parameters)
        self.ranks = ranks

    @property
    def elements(self) -> int:
        """P, how many elements the parameters have."""
        return sum(p.numel() for p in self.parameters)

    def rows(self, at: DetachedFeatures, own: Tensor) -> Tensor:
        found = own.new_empty(len(own), self.elements)
        for place, row in enumerate(own):
            ends, parts = _trained_ends(at, row)
            gradients = torch.autograd.grad(
                ends, self.parameters, parts,
                retain_graph=True, allow_unused=True, materialize_grads=True,
            )  # fmt: skip
            torch.cat([part.float().flatten() for part in gradients], out=found[place])
        return found

    def joined(self, rows: Sequence[Tensor]) -> Tensor:
        (summed,) = rows
        return self.ranks.sum(summed)

    def gramian(self, rows: Sequence[Tensor]) -> Tensor:
        return gramian_of(self.joined(rows))

    def gramian_at(self, at: DetachedFeatures, own: Tensor) -> Tensor:
        ends, _ = _trained_ends(at, own[0])
        rows = [_trained_ends(at, row)[1] for row in own]
        return segment_gramian(segments_of(ends, self.parameters), rows, self.ranks.sum)

    def parts(self, direction: Tensor, rows: Sequence[Tensor], count: int) -> list[Tensor]:
        # every rank holds the whole direction, and every micro-batch gives an equal part of it
        return [direction / (count * self.ranks.world)] * count

    def carry(self, at: DetachedFeatures, part: Tensor) -> Tensor:
        parameters, pieces = zip(*self._pieces(part), strict=True)
        return carried(parameters, pieces)

    @contextmanager
    def moved(self, step: Tensor) -> Iterator[None]:
        """The parameters moved by `step` (P,), and afterwards to the bit what they were."""
        kept = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            for p, piece in self._pieces(step):
                p.add_(piece)
        try:
            yield
        finally:
            with torch.no_grad():
                for p, before in zip(self.parameters, kept, strict=True):
                    p.copy_(before)

    def _pieces(self, vector: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Each parameter with its piece of `vector` (P,), of its shape."""
        pieces = torch.split(vector, [p.numel() for p in self.parameters])
        for p, piece in zip(self.parameters, pieces, strict=True):
            yield p, piece.view_as(p)


def provider_for(place: GradientLocation, router: RouterModule, ranks: Ranks) -> GradientSource:
    """The provider of gradients at `place`; `AssemblyError` where nothing there is trained."""
    match place:
        case GradientLocation.FEATURES:
            return AtFeatures(ranks)
        case GradientLocation.LAST_SHARED_LAYER:
            parameters = last_layer(router)
        case GradientLocation.PARAMETERS:
            parameters = shared_parameters(router)
    if not parameters:
        raise AssemblyError(
            f"weighting.at: {place.value} asks for gradients at parameters that the tasks share, "
            f"and {type(router).__name__} has none that is trained; use `at: features`, or do not "
            f"freeze them all"
        )
    return AtParameters(parameters, ranks)


def carry_into_trunk(at: DetachedFeatures, direction: Tensor) -> Tensor:
    """A scalar whose gradient at the ends of the trunk is `direction` (F,)."""
    ends, parts = _trained_ends(at, direction)
    return carried(ends, parts) if ends else direction.new_zeros(())


def _trained_ends(at: DetachedFeatures, row: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The ends that something trained lies before, and one task's gradient `row` (F,) at each."""
    pairs = zip(at.ends, at.parts(row), strict=True)
    found = [(end, part.to(end.dtype)) for end, part in pairs if end.requires_grad]
    return [end for end, _ in found], [part for _, part in found]


def shared_parameters(router: RouterModule) -> list[nn.Parameter]:
    """The trained parameters that lie before the features; those of branches lie behind them."""
    found = [p for module in _shared_modules(router) for p in _trained(module)]
    return list(dict.fromkeys(found))  # one that two modules share counts once


def last_layer(router: RouterModule) -> list[nn.Parameter]:
    """The trained parameters from the last weight on: a matrix or kernel, its bias, a norm."""
    modules = _shared_modules(router)
    holds = [any(p.dim() > 1 for p in _trained(module)) for module in modules]
    if not any(holds):
        return []
    first = len(holds) - 1 - holds[::-1].index(True)
    return list(dict.fromkeys(p for module in modules[first:] for p in _trained(module)))


def _shared_modules(router: RouterModule) -> list[nn.Module]:
    """The modules of `router`, in the order in which they were made, that lie before the cut.

    Behind it lie its branches, and what tasks make of shared features for themselves.
    """
    branches = [m for m in router.modules() if isinstance(m, BranchesModule)]
    behind = (*branches, *router.own_modules())
    inside = {id(inner) for module in behind for inner in module.modules()}
    return [module for module in router.modules() if id(module) not in inside]


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters(recurse=False) if p.requires_grad]
