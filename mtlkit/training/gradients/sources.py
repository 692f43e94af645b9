"""Gradient sources: compute the tasks' gradients at a location, and apply a direction there.

Shapes: T loss terms, F elements of the features of this rank's micro-batch, P elements that the
gradients of a source have, over all micro-batches and ranks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter

import attrs
import torch
from torch import Tensor, nn

from mtlkit.errors import AssemblyError
from mtlkit.routers.base import RouterModule
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.gramian import gramian_of
from mtlkit.training.gradients.loss_scale import scaled
from mtlkit.training.gradients.segment_gramian import segment_gramian, segments_of
from mtlkit.training.gradients.shared_parameters import last_layer, shared_parameters
from mtlkit.training.gradients.surrogate import Pairs
from mtlkit.training.gradients.task_gradients import (
    GradientStream,
    TaskGradients,
    sum_of_parts,
)
from mtlkit.weightings.base import GradientLocation


@attrs.frozen(eq=False)
class Jacobian:
    """The gradients (T, P) of an update.

    A direction (P,) is applied in parts: each of this rank's micro-batches applies its `columns` of
    it, divided by `divisor`.
    """

    rows: Tensor
    columns: Sequence[slice]
    divisor: int = 1

    def parts(self, direction: Tensor) -> list[Tensor]:
        """Return the part of `direction` (P,) that each micro-batch of this rank applies."""
        parts = [direction[columns] for columns in self.columns]
        return parts if self.divisor == 1 else [part / self.divisor for part in parts]


class GradientSource(ABC):
    """The tasks' gradients at one location of the network.

    `parameters` are those of the location, if it is one of parameters. Their gradients are computed
    through the graph of the backbone.
    """

    parameters: tuple[nn.Parameter, ...] = ()

    @abstractmethod
    def gramian(self, stream: GradientStream) -> Tensor:
        """Return the Gramian (T, T) of the update, from this rank's micro-batches."""

    @abstractmethod
    def jacobian(self, stream: GradientStream) -> Jacobian:
        """Return the Jacobian (T, P) of the update, from this rank's micro-batches."""

    @abstractmethod
    def pairs(self, gradients: TaskGradients, part: Tensor) -> Pairs:
        """Return tensors and the gradients there that apply this micro-batch's `part`.

        Summed over micro-batches and ranks, they apply the direction.
        """


class FeatureSource(GradientSource):
    """Gradients at the features: one row part per sample, so micro-batches are concatenated."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def gramian(self, stream: GradientStream) -> Tensor:
        parts = [gramian_of(rows) for rows in map(attrgetter("rows"), stream)]
        return self.ranks.sum(sum_of_parts(parts))

    def jacobian(self, stream: GradientStream) -> Jacobian:
        parts = list(map(attrgetter("rows"), stream))
        gathered, start = gather_columns(torch.cat(parts, dim=1), self.ranks)
        columns = []
        for part in parts:
            columns.append(slice(start, start + part.shape[1]))
            start += part.shape[1]
        return Jacobian(gathered, columns)

    def pairs(self, gradients: TaskGradients, part: Tensor) -> Pairs:
        return gradients.ends.pairs(part)


class ParameterSource(GradientSource):
    """Gradients at parameters: every sample contributes to each, so micro-batches are summed.

    The Gramian of one micro-batch is computed by segments (`segment_gramian`). With several, the
    Jacobian is computed, since gradients must be summed before they are multiplied.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
        self.parameters = tuple(parameters)
        self.ranks = ranks

    def gramian(self, stream: GradientStream) -> Tensor:
        if len(stream) > 1:
            return gramian_of(self.jacobian(stream).rows)
        [gradients] = stream
        ends, parts = gradients.ends.attached(scaled(gradients.rows, gradients.scale))
        segments = segments_of(ends, self.parameters)
        gramian = segment_gramian(segments, parts, self.ranks.sum)
        return gramian if gradients.scale is None else gramian / gradients.scale.double().square()

    def jacobian(self, stream: GradientStream) -> Jacobian:
        parts = map(self._rows, stream)
        total = next(parts)
        for rows in parts:
            total += rows
        count = len(stream)
        return Jacobian(self.ranks.sum(total), [slice(None)] * count, count * self.ranks.world)

    def pairs(self, gradients: TaskGradients, part: Tensor) -> Pairs:
        return zip(self.parameters, _pieces(part, self.parameters), strict=True)

    def _rows(self, gradients: TaskGradients) -> Tensor:
        """Return the gradients (T, P) of one micro-batch."""
        size = sum(p.numel() for p in self.parameters)
        rows = gradients.rows.new_zeros(len(gradients.rows), size)
        ends, parts = gradients.ends.attached(scaled(gradients.rows, gradients.scale))
        for row, part in zip(rows, parts, strict=True):
            pairs = [(end, p) for end, p in zip(ends, part, strict=True) if p is not None]
            if not pairs:
                continue
            pieces = torch.autograd.grad(
                [end for end, _ in pairs], self.parameters, [p for _, p in pairs],
                retain_graph=True, allow_unused=True, materialize_grads=True,
            )  # fmt: skip
            torch.cat([piece.float().flatten() for piece in pieces], out=row)
        if gradients.scale is not None:
            rows /= gradients.scale
        return rows


@contextmanager
def moved(parameters: Sequence[nn.Parameter], step: Tensor) -> Iterator[None]:
    """Move `parameters` by `step` (P,), and restore them exactly on exit.

    Their data is replaced, not written to, so that a graph that was recorded before stays valid.
    """
    kept = [p.data for p in parameters]
    for p, piece in zip(parameters, _pieces(step, parameters), strict=True):
        p.data = p.data.clone().add_(piece)
    try:
        yield
    finally:
        for p, before in zip(parameters, kept, strict=True):
            p.data = before


def _pieces(vector: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the piece of `vector` (P,) for each parameter, in its shape."""
    pieces = torch.split(vector, [p.numel() for p in parameters])
    return [piece.view_as(p) for p, piece in zip(parameters, pieces, strict=True)]


def gather_columns(local: Tensor, ranks: Ranks) -> tuple[Tensor, int]:
    """Return the Jacobian (T, sum of P) of all ranks, and the first column of `local` (T, P)."""
    if ranks.world == 1:
        return local, 0
    parts = ranks.parts(local)  # ranks may differ by one sample
    return torch.cat(parts, dim=1), sum(part.shape[1] for part in parts[: ranks.rank])


def gradient_source(
    location: GradientLocation, router: RouterModule, ranks: Ranks
) -> GradientSource:
    """Return the source at `location`; `AssemblyError` if no parameter there is trained."""
    match location:
        case GradientLocation.FEATURES:
            return FeatureSource(ranks)
        case GradientLocation.LAST_SHARED_LAYER:
            parameters = last_layer(router)
        case GradientLocation.PARAMETERS:
            parameters = shared_parameters(router)
    if not parameters:
        raise AssemblyError(
            f"weighting.at: {location.value} needs trained parameters that the tasks share, and "
            f"{type(router).__name__} has none; use `at: features`, or unfreeze some of them"
        )
    return ParameterSource(parameters, ranks)
