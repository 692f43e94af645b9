"""Targets and weights of the samples of an update, from memory or read on access."""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.features.inputs import Batch
from mtlkit.model import MultiTaskModel, sum_of
from mtlkit.targets.rows import Rows
from mtlkit.training.batches import UpdateBatch
from mtlkit.training.ranks import Ranks


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
        self, model: MultiTaskModel, rows: Mapping[str, Rows], ranks: Ranks, device: torch.device
    ) -> None:
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
            return BatchLabels(targets, weights, sum_of(self._weights[:, batch.whole]))
        weights = [self._model.weights(labels) for labels in targets]
        return BatchLabels(targets, weights, sum_over_ranks(weights, self._ranks, self._device))


def sum_over_ranks(weights: Sequence[Tensor], ranks: Ranks, device: torch.device) -> Tensor:
    """Return the sums (T,) of the weights (T, N) of all micro-batches and ranks."""
    counts = torch.stack([part.double().sum(dim=1) for part in weights]).sum(dim=0)
    if ranks.world > 1:
        counts = ranks.sum(counts.to(device)).cpu()
    return counts.float()
