"""Targets and weights of the samples of an update, from memory or read on access."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import attrs
import torch
from torch import Tensor

from mtlkit.data.dataset import Split
from mtlkit.data.inputs import Inputs, in_memory
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.grouped_batches import TASK, GroupedBatches
from mtlkit.model import MultiTaskModel, sum_of
from mtlkit.targets.rows import Rows
from mtlkit.training.batching.batches import UpdateBatch
from mtlkit.training.batching.drawn import Origins
from mtlkit.training.batching.prefetch import read_named
from mtlkit.training.devices.ranks import Ranks


@attrs.frozen(eq=False)
class BatchLabels:
    """Targets of each task and weights (T, N) of the samples, for each micro-batch of a rank.

    `counts` (T,) are the sums of the weights over all micro-batches and ranks, or over those of
    this rank if they are `local`. `inputs` are those of each micro-batch; None if they are in
    memory.
    """

    targets: Sequence[Mapping[str, Tensor]]
    weights: Sequence[Tensor]
    counts: Tensor
    inputs: Sequence[Batch] | None = None
    local: bool = False

    def over_ranks(self, ranks: Ranks, device: torch.device) -> "BatchLabels":
        """Return the labels with the counts of all ranks, which all of them request."""
        if not self.local:
            return self
        counts = self.counts
        if ranks.world > 1:
            counts = ranks.sum(counts.to(device)).cpu()
        return attrs.evolve(self, counts=counts.float(), local=False)

    def pinned(self) -> "BatchLabels":
        """Return the labels and inputs in memory from which copies to a GPU are asynchronous."""
        return attrs.evolve(
            self,
            targets=[{t: rows.pin_memory() for t, rows in part.items()} for part in self.targets],
            weights=[part.pin_memory() for part in self.weights],
            inputs=self.inputs and [map_batch(Tensor.pin_memory, part) for part in self.inputs],
        )


class LabelReader:
    """Reads the labels of updates, and those of the `inputs` of `split` that are not in memory.

    If all labels are in memory, weights are computed once for all samples, and the sums need no
    communication between ranks. Otherwise each rank reads those of its part of the samples.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        rows: Mapping[str, Rows],
        split: Split,
        counted: "CountedLabels",
    ) -> None:
        self._counted = counted
        self._model, self._rows, self._split = model, rows, split
        kept = {task: labels for task, labels in rows.items() if isinstance(labels, Tensor)}
        self._weights = model.weights(kept) if len(kept) == len(rows) else None
        self.in_memory = self._weights is not None and in_memory(split.inputs)
        self._all_one = self._weights is not None and bool((self._weights == 1).all())
        self._ones: dict[int, tuple[Tensor, Tensor]] = {}  # weights and counts by samples

    def read(self, batch: UpdateBatch) -> BatchLabels:
        """Return the labels of this rank's part of `batch`, in any thread."""
        targets = [
            {task: self._named(rows, index) for task, rows in self._rows.items()}
            for index in batch.micro_batches
        ]
        inputs = None
        if not in_memory(self._split.inputs):
            inputs = [self._named(self._split.inputs, index) for index in batch.micro_batches]
        if self._all_one and not self._counted.selects(batch.origins):
            weights = [self._of_ones(len(index))[0] for index in batch.micro_batches]
            return BatchLabels(targets, weights, self._of_ones(len(batch.whole))[1], inputs)
        if self._weights is not None:
            weights = [self._weights[:, index] for index in batch.micro_batches]
            whole = self._counted.only(self._weights[:, batch.whole], batch.origins)
            weights = self._counted.of_parts(weights, batch)
            return BatchLabels(targets, weights, sum_of(whole), inputs)
        weights = self._counted.of_parts([self._model.weights(part) for part in targets], batch)
        return BatchLabels(targets, weights, local_counts(weights), inputs, local=True)

    def _named(self, rows: Rows | Inputs, index: Tensor) -> Any:
        return read_named(rows.__getitem__, index, self._split.ids)

    def _of_ones(self, samples: int) -> tuple[Tensor, Tensor]:
        """Return weights (T, N) of 1 and their sums (T,), the same tensors for each size."""
        if samples not in self._ones:
            weights = torch.ones(len(self._model.terms), samples)
            self._ones[samples] = weights, sum_of(weights)
        return self._ones[samples]


@attrs.frozen(eq=False)
class CountedLabels:
    """Selects the labels that count in samples drawn `by_task`: those of that task alone.

    `owners` (T,) is the task of each loss term, by its number.
    """

    owners: Tensor
    by_task: bool

    @classmethod
    def of(cls, model: MultiTaskModel, batches: Literal["joint"] | GroupedBatches) -> Self:
        """Return the labels of `model` that count in `batches`."""
        owners = torch.tensor([model.tasks.index(term.task) for term in model.terms])
        return cls(owners, isinstance(batches, GroupedBatches) and batches.per == TASK)

    def selects(self, origins: Origins | None) -> bool:
        """Return whether only some labels of samples of these `origins` count."""
        return origins is not None and self.by_task

    def only(self, weights: Tensor, origins: Origins | None) -> Tensor:
        """Return `weights` (T, N), 0 for labels that do not count."""
        if origins is None or not self.by_task:
            return weights
        return weights * (self.owners.unsqueeze(1) == origins.groups)

    def of_parts(self, weights: Sequence[Tensor], batch: UpdateBatch) -> list[Tensor]:
        """Return the `weights` of the micro-batches of `batch`, 0 for labels that do not count."""
        origins = batch.micro_origins or (None,) * len(weights)
        return [self.only(part, origin) for part, origin in zip(weights, origins, strict=True)]


def local_counts(weights: Sequence[Tensor]) -> Tensor:
    """Return the sums (T,) of the weights (T, N) of all micro-batches, in float64."""
    return torch.stack([part.double().sum(dim=1) for part in weights]).sum(dim=0)
