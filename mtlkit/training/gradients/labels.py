"""Targets and weights of the samples of an update, from memory or read on access."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import attrs
import torch
from torch import Tensor

from mtlkit.features.inputs import Batch
from mtlkit.grouped_batches import TASK, GroupedBatches
from mtlkit.model import MultiTaskModel, sum_of
from mtlkit.targets.rows import Rows
from mtlkit.training.batching.batch_order import Origins
from mtlkit.training.batching.batches import UpdateBatch
from mtlkit.training.devices.ranks import Ranks


@attrs.frozen(eq=False)
class BatchLabels:
    """Targets of each task and weights (T, N) of the samples, for each micro-batch of a rank.

    `counts` (T,) are the sums of the weights over all micro-batches and ranks. `inputs` are those
    of each micro-batch if transforms change them; otherwise they are read when they are used.
    """

    targets: Sequence[Mapping[str, Tensor]]
    weights: Sequence[Tensor]
    counts: Tensor
    inputs: Sequence[Batch] | None = None


class LabelReader:
    """Reads the labels of updates, each label once.

    If all labels are in memory, weights are computed once for all samples, and the sums need no
    communication between ranks. Otherwise each rank reads those of its part of the samples.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        rows: Mapping[str, Rows],
        ranks: Ranks,
        device: torch.device,
        counted: "CountedLabels",
    ) -> None:
        self._counted = counted
        self._model, self._rows, self._ranks, self._device = model, rows, ranks, device
        in_memory = {task: labels for task, labels in rows.items() if isinstance(labels, Tensor)}
        self._weights = model.weights(in_memory) if len(in_memory) == len(rows) else None

    def read(self, batch: UpdateBatch) -> BatchLabels:
        """Return the labels of this rank's part of `batch`."""
        targets = [
            {task: rows[index] for task, rows in self._rows.items()}
            for index in batch.micro_batches
        ]
        if self._weights is not None:
            weights = [self._weights[:, index] for index in batch.micro_batches]
            whole = self._counted.only(self._weights[:, batch.whole], batch.origins)
            return BatchLabels(targets, self._counted.of_parts(weights, batch), sum_of(whole))
        weights = self._counted.of_parts([self._model.weights(part) for part in targets], batch)
        return BatchLabels(targets, weights, sum_over_ranks(weights, self._ranks, self._device))


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

    def only(self, weights: Tensor, origins: Origins | None) -> Tensor:
        """Return `weights` (T, N), 0 for labels that do not count."""
        if origins is None or not self.by_task:
            return weights
        return weights * (self.owners.unsqueeze(1) == origins.groups)

    def of_parts(self, weights: Sequence[Tensor], batch: UpdateBatch) -> list[Tensor]:
        """Return the `weights` of the micro-batches of `batch`, 0 for labels that do not count."""
        origins = batch.micro_origins or (None,) * len(weights)
        return [self.only(part, origin) for part, origin in zip(weights, origins, strict=True)]


def sum_over_ranks(weights: Sequence[Tensor], ranks: Ranks, device: torch.device) -> Tensor:
    """Return the sums (T,) of the weights (T, N) of all micro-batches and ranks."""
    counts = torch.stack([part.double().sum(dim=1) for part in weights]).sum(dim=0)
    if ranks.world > 1:
        counts = ranks.sum(counts.to(device)).cpu()
    return counts.float()
