"""A part of an update, such as a micro-batch of one rank, and the update."""

from collections.abc import Callable, Iterable, Mapping

import attrs
from torch import Tensor

from mtlkit.errors import RunError
from mtlkit.features.inputs import Batch
from mtlkit.weightings.kinds import StepInfo, UpdateStats, scatter


@attrs.frozen(eq=False)
class Part:
    """A part of an update: `fraction` of its samples; `index` counts the parts of this rank."""

    fraction: float = attrs.field(default=1.0, kw_only=True)
    index: int = attrs.field(default=0, kw_only=True)


@attrs.frozen(eq=False)
class MicroBatch(Part):
    """Samples of one forward pass: raw inputs and targets (N, ...) of each task.

    `weights` (T, N) are those of the samples in the mean loss of each term; None for those of the
    model.
    """

    inputs: Batch
    targets: Mapping[str, Tensor]
    weights: Tensor | None = None


@attrs.frozen(eq=False)
class UpdateInfo:
    """Properties of an update that all its micro-batches need.

    `counts` (T,) is the sum of the samples' weights, over all micro-batches and ranks. `indices`
    (K,) are those of the terms with a target, and `complete` is true if all terms have one. `watch`
    requests the Gramian of the tasks' gradients for the log.
    """

    counts: Tensor
    indices: Tensor
    complete: bool = False
    step: StepInfo = attrs.field(factory=StepInfo)
    watch: bool = False

    def present(self, values: Tensor) -> Tensor:
        """Return those of `values` (T, ...) that belong to terms with a target (K, ...)."""
        return values if self.complete else values[self.indices]

    def scatter(self, values: Tensor) -> Tensor:
        """Return `values` (K,) as (T,) in float32, with 0 for a term without a target.

        Raises `RunError` for values of another type or shape, which a plugin may return.
        """
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        if shape != tuple(self.indices.shape):
            raise RunError(
                f"the weighting returned weights of shape {shape}, expected a tensor of shape "
                f"({len(self.indices)},), for each task with a target; correct the weighting"
            )
        values = values.float()
        return values if self.complete else scatter(values, self.indices, len(self.counts))

    def stats(self, losses: Tensor) -> UpdateStats:
        """Return the input of a weighting, from the mean losses (T,)."""
        return UpdateStats(self.present(losses), self.indices, self.step)


@attrs.frozen(eq=False)
class Rehearsal:
    """One draw of an update, run ahead of the update to decide it.

    `parts` are its `count` parts on this rank. Read them once, in order and to the end: the state
    that the passes change is restored after the last one.
    """

    update: UpdateInfo
    parts: Iterable[Part]
    count: int


Rehearse = Callable[[int], Rehearsal]
"""The rehearsal of a draw, by its number."""
