"""A micro-batch of one rank, and the update that it is a part of."""

from collections.abc import Callable, Iterable, Mapping

import attrs
from torch import Tensor

from mtlkit.features.inputs import Batch
from mtlkit.weightings.kinds import StepInfo, UpdateStats, scatter


@attrs.frozen(eq=False)
class MicroBatch:
    """Samples of one forward pass: raw inputs and targets (N, ...) of each task.

    `weights` (T, N) are those of the samples in the mean loss of each term; None for those of the
    model. `fraction` is the part of the update's samples that these N are. `index` counts the
    micro-batches of this rank.
    """

    inputs: Batch
    targets: Mapping[str, Tensor]
    fraction: float = 1.0
    index: int = 0
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
        """Return `values` (K,) as (T,) in float32, with 0 for a term without a target."""
        values = values.float()
        return values if self.complete else scatter(values, self.indices, len(self.counts))

    def stats(self, losses: Tensor) -> UpdateStats:
        """Return the input of a weighting, from the mean losses (T,)."""
        return UpdateStats(self.present(losses), self.indices, self.step)


@attrs.frozen(eq=False)
class Rehearsal:
    """One draw of an update, run ahead of the update to decide it.

    `batches` are its `count` micro-batches on this rank. Read them once, in order and to the end:
    the state that the passes change is restored after the last one.
    """

    update: UpdateInfo
    batches: Iterable[MicroBatch]
    count: int


Rehearse = Callable[[int], Rehearsal]
"""The rehearsal of a draw, by its number."""
