"""Task gradients of losses that a user's loop computed."""

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.errors import AssemblyError
from mtlkit.training.balancing.given_losses import GivenLosses
from mtlkit.training.balancing.leaves import leaves_of
from mtlkit.training.gradients.batch import Part, UpdateInfo
from mtlkit.training.gradients.ends import Ends
from mtlkit.training.gradients.forward_pass import ForwardPass, PassLosses
from mtlkit.training.gradients.loss_scale import scaled, unscaled
from mtlkit.training.gradients.surrogate import Pairs
from mtlkit.training.gradients.task_gradients import TaskGradients
from mtlkit.weightings.kinds import StepLosses

Gradients = Sequence[Tensor | None]


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
    """Task gradients of the losses `values`, which also depend on the shared network.

    `leaves` returns the parameters behind the ends.
    """

    values: Sequence[Tensor] = ()
    indices: Sequence[int] = ()
    leaves: Callable[[], list[Tensor]] = list

    def weighted_heads(self, weights: Tensor) -> tuple[Tensor, Pairs]:
        value, pairs = super().weighted_heads(weights)
        if self.tasks:
            return value, pairs
        slopes = (weights / self.losses.counts.clamp(min=1)).unbind()
        leaves = self.leaves()
        gradients = _gradients(self.values, leaves, [slopes[i] for i in self.indices], self.scale)
        return value.detach(), zip(leaves, gradients, strict=True)


class LoopPass(ForwardPass[LoopPart]):
    """Read losses and their gradients from the graph of a user's loop.

    `shared` are the parameters of the location, if it is one of parameters.
    """

    separate = True  # as far as the graph shows
    shared: Sequence[nn.Parameter] = ()

    def losses(self, part: LoopPart, update: UpdateInfo) -> PassLosses:
        return PassLosses(part.losses(part.read(), update))

    def gradients(
        self, part: LoopPart, update: UpdateInfo, *, heads: bool, backbone_graph: bool = True
    ) -> TaskGradients:
        given = part.read()
        losses = part.losses(given, update)
        slopes = (1 / update.counts.clamp(min=1)).unbind()
        by_value = [slopes[index] for index in given.values]
        values = list(given.values.values())
        stops = given.features or self.shared

        def leaves() -> list[Tensor]:
            return leaves_of(values, stops)

        reached = [leaves_of([value], stops) if heads else [] for value in values]
        owners = _owners(given, reached)
        if given.features:
            ends = Ends(given.features)
            rows, behind, at_heads = self._at_features(given, by_value, reached)
        else:
            broad = [
                scaled(slope, self.scale).expand_as(value)
                for slope, value in zip(by_value, values, strict=True)
            ]
            ends = LossEnds(tuple(values), tuple(given.values), broad, self.shared, self.scale)
            rows = torch.eye(len(given.terms), device=given.first.device)
            behind = leaves() if heads else []
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
            leaves,
            tasks=[owners[leaf] for leaf in behind] if owners else (),
        )

    def _at_features(
        self, given: GivenLosses, slopes: Sequence[Tensor], reached: Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, list[Tensor], Gradients]:
        """Return the gradients (T, F) at the features, and those of the sum behind them.

        `reached` are the leaves behind the features that each loss depends on.
        """
        size = sum(end.numel() for end in given.features)
        rows = given.first.new_zeros(len(given.terms), size, dtype=torch.float32)
        behind: dict[Tensor, Tensor | None] = {}
        for (index, value), slope, leaves in zip(
            given.values.items(), slopes, reached, strict=True
        ):
            gradients = _gradients([value], [*given.features, *leaves], [slope], self.scale)
            at_features, rest = gradients[: len(given.features)], gradients[len(given.features) :]
            if all(gradient is None for gradient in at_features):
                raise AssemblyError(
                    f"losses.{given.terms[index].name}: got a loss that does not depend on "
                    f"`features`; pass the tensor that its head reads, or leave the task out"
                )
            _write(rows[index], given.features, at_features)
            for leaf, gradient in zip(leaves, rest, strict=True):
                behind[leaf] = _sum(behind.get(leaf), gradient)
        return rows, list(behind), list(behind.values())


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
        scaled(slope, scale).to(value.dtype).expand_as(value)
        for slope, value in zip(slopes, values, strict=True)
    ]
    gradients = torch.autograd.grad(values, inputs, outer, retain_graph=True, allow_unused=True)
    return unscaled(gradients, scale)


def _owners(given: GivenLosses, reached: Sequence[Sequence[Tensor]]) -> dict[Tensor, int]:
    """Return the task of each parameter that is `reached`; none if one has several tasks."""
    owners: dict[Tensor, int] = {}
    for index, leaves in zip(given.values, reached, strict=True):
        if any(leaf in owners for leaf in leaves):
            return {}
        owners |= dict.fromkeys(leaves, index)
    return owners


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return one + other if one is not None and other is not None else other if one is None else one


def _write(row: Tensor, ends: Sequence[Tensor], gradients: Gradients) -> None:
    start = 0
    for end, gradient in zip(ends, gradients, strict=True):
        if gradient is not None:
            row[start : start + end.numel()] = gradient.flatten()
        start += end.numel()
