"""Task gradients of losses that a user's loop computed."""

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.errors import AssemblyError
from mtlkit.training.balancing.given_losses import GivenLosses
from mtlkit.training.balancing.graph_paths import (
    GraphPath,
    are_separate,
    paths_of,
    recorded,
)
from mtlkit.training.gradients.batch import Part, UpdateInfo
from mtlkit.training.gradients.ends import Ends, Gradients, write_row
from mtlkit.training.gradients.features import LARGE, stacked
from mtlkit.training.gradients.forward_pass import ForwardPass
from mtlkit.training.gradients.loss_scale import scaled, unscaled
from mtlkit.training.gradients.surrogate import Pairs
from mtlkit.training.gradients.task_gradients import TaskGradients, sum_of
from mtlkit.weightings.kinds import StepLosses


@attrs.frozen(eq=False)
class LoopPart(Part):
    """A part of an update: `read` returns its losses, and may compute them anew at each call.

    `samples` is the number of samples of the update, and `means` that of its parts, on all ranks.
    """

    read: Callable[[], GivenLosses]
    samples: float
    means: float

    def losses(self, given: GivenLosses, update: UpdateInfo) -> StepLosses:
        """Return the losses for a weighting."""
        fraction = 1 / self.means if given.means_only else given.samples / self.samples
        return given.step_losses(update.counts, fraction)


@attrs.frozen(eq=False)
class LossEnds(Ends):
    """The losses themselves as ends, for gradients at the `shared` parameters without features.

    A row (T,) holds the factor of each loss. `slopes` are gradients of mean losses at `tensors`,
    times the loss `scale`.
    """

    indices: Sequence[int]
    slopes: Sequence[Tensor]
    shared: Sequence[nn.Parameter]
    scale: Tensor | None

    def pairs(self, direction: Tensor) -> Pairs:
        factors = direction.unbind()
        parts = [factors[i] * slope for i, slope in zip(self.indices, self.slopes, strict=True)]
        gradients = torch.autograd.grad(
            self.tensors, self.shared, parts, retain_graph=True, allow_unused=True
        )
        return zip(self.shared, unscaled(gradients, self.scale), strict=True)

    def attached(self, rows: Tensor) -> tuple[Sequence[Tensor], Sequence[Gradients]]:
        parts: list[list[Tensor | None]] = [[None] * len(self.tensors) for _ in range(len(rows))]
        for number, (index, slope) in enumerate(zip(self.indices, self.slopes, strict=True)):
            parts[index][number] = slope
        return self.tensors, parts


@attrs.frozen(eq=False)
class LoopGradients(TaskGradients):
    """Task gradients of the losses `values`, which also depend on the shared network."""

    values: Sequence[Tensor] = ()
    indices: Sequence[int] = ()

    def weighted_heads(self, weights: Tensor) -> tuple[Tensor, Pairs]:
        value, pairs = super().weighted_heads(weights)
        if self.tasks:
            return value, pairs
        slopes = torch.split(weights / self.losses.counts.clamp(min=1), 1)
        by_value = [slopes[i] for i in self.indices]
        gradients = _gradients(self.values, self.behind, by_value, self.scale)
        return value.detach(), zip(self.behind, gradients, strict=True)


class LoopPass(ForwardPass[LoopPart]):
    """Read losses and their gradients from the graph of a user's loop.

    `shared` are the parameters of the location, if it is one of parameters.
    """

    separate = True  # as far as the graph shows
    shared: Sequence[nn.Parameter] = ()

    def losses(self, part: LoopPart, update: UpdateInfo) -> tuple[StepLosses, Sequence[Tensor]]:
        return part.losses(part.read(), update), ()

    def gradients(
        self, part: LoopPart, update: UpdateInfo, *, heads: bool, backbone_graph: bool = True
    ) -> TaskGradients:
        given = part.read()
        with torch.no_grad():
            losses = part.losses(given, update)
        slopes = torch.split(update.counts.clamp(min=1).reciprocal(), 1)
        by_value = [slopes[index] for index in given.values]
        values = list(given.values.values())
        paths = paths_of(values, given.features or self.shared)
        leaves = [path.leaves if heads else [] for path in paths]
        owners = {
            leaf: index for index, some in zip(given.values, leaves, strict=True) for leaf in some
        }
        one_task_each = len(owners) == sum(map(len, leaves))
        behind = list(owners)
        if given.features:
            ends = Ends(given.features)
            rows, at_heads = self._at_features(given, by_value, paths, behind)
        else:
            broad = _outer(values, by_value, self.scale)
            ends = LossEnds(tuple(values), tuple(given.values), broad, self.shared, self.scale)
            rows = torch.eye(len(given.terms), device=given.first.device)
            at_heads = _gradients(values, behind, by_value, self.scale)
        return LoopGradients(
            ends,
            losses,
            rows,
            behind,
            at_heads,
            self.scale,
            values,
            tuple(given.values),
            tasks=list(owners.values()) if one_task_each else (),
        )

    def _at_features(
        self,
        given: GivenLosses,
        slopes: Sequence[Tensor],
        paths: Sequence[GraphPath],
        behind: Sequence[Tensor],
    ) -> tuple[Tensor, Gradients]:
        """Return the gradients (T, F) at the features, and those of the sum at `behind`.

        One pass computes all, if the losses share nothing behind one tensor of features; otherwise
        there is one for each loss.
        """
        [end, *others] = given.features
        at_once = not others and end.numel() < LARGE and not end._backward_hooks
        if at_once and are_separate(paths):
            values = list(given.values.values())
            with recorded(paths, end) as at_end:
                gradients = _gradients(values, [end, *behind], slopes, self.scale)
            if all(gradient is not None for gradient in at_end):
                by_term = dict(zip(given.values, unscaled(at_end, self.scale), strict=True))
                rows = stacked([by_term.get(index) for index in range(len(given.terms))], end)
                return rows, gradients[1:]
        size = sum(end.numel() for end in given.features)
        rows = given.first.new_zeros(len(given.terms), size, dtype=torch.float32)
        sums: dict[Tensor, Tensor | None] = dict.fromkeys(behind)
        for (index, value), slope, path in zip(given.values.items(), slopes, paths, strict=True):
            leaves = path.leaves if behind else []
            gradients = _gradients([value], [*given.features, *leaves], [slope], self.scale)
            at_features, rest = gradients[: len(given.features)], gradients[len(given.features) :]
            if all(gradient is None for gradient in at_features):
                raise AssemblyError(
                    f"losses.{given.terms[index].name}: got a loss that does not depend on "
                    f"`features`; pass the tensor that its head reads, or leave the task out"
                )
            write_row(rows[index], given.features, at_features)
            for leaf, gradient in zip(leaves, rest, strict=True):
                sums[leaf] = sum_of(sums[leaf], gradient)
        return rows, list(sums.values())


def _gradients(
    values: Sequence[Tensor],
    inputs: Sequence[Tensor],
    slopes: Sequence[Tensor],
    scale: Tensor | None,
) -> Gradients:
    """Return the gradient at `inputs` of the sum of each of `values` times its slope."""
    if not inputs:
        return []
    outer = [
        slope.to(value.dtype)
        for slope, value in zip(_outer(values, slopes, scale), values, strict=True)
    ]
    gradients = torch.autograd.grad(values, inputs, outer, retain_graph=True, allow_unused=True)
    return unscaled(gradients, scale)


def _outer(
    values: Sequence[Tensor], slopes: Sequence[Tensor], scale: Tensor | None
) -> list[Tensor]:
    """Return the slope (1,) of each of `values` in its shape, times the loss scale."""
    pairs = zip([scaled(slope, scale) for slope in slopes], values, strict=True)
    return [s if s.shape == value.shape else s.expand_as(value) for s, value in pairs]
