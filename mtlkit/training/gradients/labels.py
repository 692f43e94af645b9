"""Targets and weights of the samples of an update, from memory or read on access."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from mtlkit.data.inputs import Inputs, in_memory
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.grouped_batches import TASK, GroupedBatches
from mtlkit.model import MultiTaskModel, sum_of
from mtlkit.targets.rows import Rows
from mtlkit.training.batching.batches import UpdateBatch
from mtlkit.training.batching.drawn import Origins
from mtlkit.training.batching.prefetch import read_named
from mtlkit.training.context import TrainingContext
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
    """Reads the labels of updates, and the inputs of the training split if not in memory.

    If all labels are in memory, weights are computed once for all samples, and the sums need no
    communication between ranks. Otherwise each rank reads those of its part of the samples.
    """

    def __init__(self, model: MultiTaskModel, context: TrainingContext) -> None:
        self._model, self._split = model, context.data.train
        self._rows = rows = context.targets["train"]
        self._owners = task_owners(model, context.recipe.train.batches)
        kept = {task: labels for task, labels in rows.items() if isinstance(labels, Tensor)}
        self._weights = model.weights(kept) if len(kept) == len(rows) else None
        self.in_memory = self._weights is not None and in_memory(self._split.inputs)
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
        if self._all_one and (batch.origins is None or self._owners is None):
            weights = [self._of_ones(len(index))[0] for index in batch.micro_batches]
            return BatchLabels(targets, weights, self._of_ones(len(batch.whole))[1], inputs)
        if self._weights is not None:
            parts = [self._weights[:, index] for index in batch.micro_batches]
            weights = counted_parts(parts, batch, self._owners)
            whole = counted(self._weights[:, batch.whole], batch.origins, self._owners)
            return BatchLabels(targets, weights, sum_of(whole), inputs)
        parts = [self._model.weights(part) for part in targets]
        weights = counted_parts(parts, batch, self._owners)
        return BatchLabels(targets, weights, local_counts(weights), inputs, local=True)

    def _named(self, rows: Rows | Inputs, index: Tensor) -> Any:
        return read_named(rows.__getitem__, index, self._split.ids)

    def _of_ones(self, samples: int) -> tuple[Tensor, Tensor]:
        """Return weights (T, N) of 1 and their sums (T,), the same tensors for each size."""
        if samples not in self._ones:
            weights = torch.ones(len(self._model.terms), samples)
            self._ones[samples] = weights, sum_of(weights)
        return self._ones[samples]


def task_owners(model: MultiTaskModel, batches: Literal["joint"] | GroupedBatches) -> Tensor | None:
    """Return the number of each loss term's task (T,), if samples are drawn by task; else None.

    In a sample that is drawn for a task, only the labels of that task count.
    """
    if not isinstance(batches, GroupedBatches) or batches.per != TASK:
        return None
    return torch.tensor([model.tasks.index(term.task) for term in model.terms])


def counted(weights: Tensor, origins: Origins | None, owners: Tensor | None) -> Tensor:
    """Return `weights` (T, N), 0 for labels that do not count; see `task_owners`."""
    if origins is None or owners is None:
        return weights
    return weights * (owners.unsqueeze(1) == origins.groups)


def counted_parts(
    weights: Sequence[Tensor], batch: UpdateBatch, owners: Tensor | None
) -> list[Tensor]:
    """Return the `weights` of the micro-batches of `batch`, 0 for labels that do not count."""
    origins = batch.micro_origins or (None,) * len(weights)
    return [counted(part, origin, owners) for part, origin in zip(weights, origins, strict=True)]


def local_counts(weights: Sequence[Tensor]) -> Tensor:
    """Return the sums (T,) of the weights (T, N) of all micro-batches, in float64."""
    return torch.stack([part.double().sum(dim=1) for part in weights]).sum(dim=0)
