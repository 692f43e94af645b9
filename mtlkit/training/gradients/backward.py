"""The gradient of one update: micro-batch by micro-batch, decided by a rehearsal if needed.

A rehearsal runs the same samples with the same dropout, and does not change the statistics of batch
norm.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import chain

import attrs
import torch
from torch import Tensor, nn

from mtlkit.features.inputs import map_batch
from mtlkit.training.batching.batches import Batches, UpdateBatch, seed_step, step_info
from mtlkit.training.batching.prefetch import AHEAD, Prefetcher
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.cores import reads_ahead
from mtlkit.training.devices.ranks import unreduced
from mtlkit.training.devices.recomputed import RestoredBuffers
from mtlkit.training.gradients.batch import MicroBatch, Rehearsal, UpdateInfo
from mtlkit.training.gradients.labels import BatchLabels
from mtlkit.training.gradients.loss_scale import scaled
from mtlkit.training.gradients.mean_gradient import mean_gradient
from mtlkit.training.gradients.step import StepResult, TaskWeights, TrainingStep
from mtlkit.training.gradients.transformed import label_reader


@attrs.frozen(eq=False)
class BackwardResult:
    """The gradient of an update: its samples, and each micro-batch's result and fraction of it.

    `samples` are the indices of each micro-batch's samples in the training split.
    """

    batch: UpdateBatch
    update: UpdateInfo
    samples: Sequence[Tensor]
    results: Sequence[StepResult]
    fractions: Sequence[float]
    labels: BatchLabels | None = None  # of `batch`, if it was not divided into draws


class Backward:
    """Compute the gradient of an update into `.grad`; `module` is `step`, or DDP around it.

    The samples of the next of `steps` updates are read meanwhile. `close` ends that.
    """

    def __init__(
        self,
        step: TrainingStep,
        module: nn.Module,
        batches: Batches,
        context: TrainingContext,
        steps: int = 0,
    ) -> None:
        self.step, self.module = step, module
        self.batches, self.context = batches, context
        self.device = context.device
        self.labels = label_reader(step.model, context)
        self._held: tuple[int, list[BatchLabels]] | None = None  # read ahead of `run`
        self._counts: Tensor | None = None  # of the newest update, and what follows from them
        self._on_device: tuple[Tensor, Tensor]
        self._complete = False
        ahead = not self.labels.in_memory and reads_ahead(context.recipe.train.workers, self.device)
        self._next = Prefetcher(self._read, steps, AHEAD if ahead else 0)
        self.close = self._next.close

    def run(self, number: int, batch: UpdateBatch, rate: float, *, watch: bool) -> BackwardResult:
        """Return the result of update `number`; `rate` is the shared parameters' learning rate.

        Several draws are rehearsed and one of them is differentiated; the losses of all are logged.
        """
        step, labels = self.step.step, self._labels(number)
        draws, trained = self.batches.drawn(batch, self.context.ranks.rank), step.trained
        update = self._update_info(number, batch, _summed_counts(labels), watch=watch)
        infos = [update]
        if len(draws) > 1:
            pairs = zip(draws, labels, strict=True)
            infos = [self._update_info(number, draw, part.counts) for draw, part in pairs]

        def rehearse(draw: int) -> Rehearsal:
            seed = self._seed_of(draw)
            return self._rehearsal(number, draws[draw], labels[draw], infos[draw], seed)

        decision: TaskWeights | None = None
        rehearsed: list[StepResult] = []
        if len(draws) > 1 or (step.rehearses and len(batch.micro_batches) > 1):
            decision = step.decide(rehearse, update, rate)
            no_weights = torch.zeros_like(update.counts)
            rehearsed = [StepResult(loss.sum(), loss, no_weights) for loss in decision.rehearsed]
        results, fractions = self._differentiate(
            draws[trained], labels[trained], infos[trained], decision
        )
        others = (draw.micro_batches for draw in draws if draw is not draws[trained])
        return BackwardResult(
            batch,
            update,
            [*chain.from_iterable(others), *draws[trained].micro_batches],
            [*rehearsed, *results],
            [*(0.0 for _ in rehearsed), *fractions],
            labels[0] if len(draws) == 1 else None,
        )

    def mean_gradient(self, number: int) -> Mapping[nn.Parameter, Tensor]:
        """Return the gradient of the plain sum of losses in update `number`, by parameter.

        It is that of all samples, micro-batches, draws and processes at the present parameters of
        the model that require gradients; see `mean_gradient` of this package. `run` reads the same
        samples next.
        """
        rank = self.context.ranks.rank
        batch = self.batches.update(number, rank)
        draws, labels = self.batches.drawn(batch, rank), self._labels(number)
        self._held = number, labels
        update = self._update_info(number, batch, _summed_counts(labels))
        rehearsals = (
            self._rehearsal(number, samples, part, update, self._seed_of(draw))
            for draw, (samples, part) in enumerate(zip(draws, labels, strict=True))
        )
        return mean_gradient(self.step, rehearsals, self.context.ranks)

    def after_step(self, number: int, result: BackwardResult) -> None:
        """Pass the losses before and after the update to a weighting that learns from them."""

        def again() -> Rehearsal:
            labels = result.labels or self.labels.read(result.batch)
            return self._rehearsal(number, result.batch, labels, result.update)

        self.step.step.learn(result.update, result.results, again)

    def _read(self, number: int) -> list[BatchLabels]:
        """Return the labels of each draw of the update `number`; called in any thread."""
        rank, batches = self.context.ranks.rank, self.batches
        draws = batches.drawn(batches.update(number, rank), rank)
        labels = [self.labels.read(draw) for draw in draws]
        return [part.pinned() for part in labels] if self.device.type == "cuda" else labels

    def _labels(self, number: int) -> list[BatchLabels]:
        """Return the labels of each draw of the update `number`, with the counts of all ranks."""
        held, self._held = self._held, None
        if held is not None and held[0] == number:
            return held[1]
        context = self.context
        return [part.over_ranks(context.ranks, context.device) for part in self._next.get(number)]

    def rehearsal(self, number: int, batch: UpdateBatch) -> Rehearsal:
        """Return a rehearsal of update `number`, which consists of the one draw `batch`."""
        context = self.context
        labels = self.labels.read(batch).over_ranks(context.ranks, context.device)
        update = self._update_info(number, batch, labels.counts)
        return self._rehearsal(number, batch, labels, update)

    def _update_info(
        self, number: int, batch: UpdateBatch, counts: Tensor, *, watch: bool = False
    ) -> UpdateInfo:
        """Describe `batch`; `counts` (T,) are not yet on the device, which avoids a sync."""
        if counts is not self._counts:  # updates with all labels have the same tensor
            self._counts, indices = counts, counts.nonzero().flatten()
            self._on_device = to_device(counts, self.device), to_device(indices, self.device)
            self._complete = len(indices) == len(counts)
        opens = number % self.batches.per_epoch == 0
        return UpdateInfo(
            counts=self._on_device[0],
            indices=self._on_device[1],
            complete=self._complete,
            step=step_info(self.context.recipe.seed, number, batch.epoch, opens=opens),
            watch=watch,
        )

    def _rehearsal(
        self,
        number: int,
        batch: UpdateBatch,
        labels: BatchLabels,
        update: UpdateInfo,
        seed: int = 0,
    ) -> Rehearsal:
        """Return a rehearsal with the random numbers of the update; it restores seed and buffers.

        Buffers are the running statistics of batch norm: a rehearsal is not one more batch.
        """

        def parts() -> Iterator[MicroBatch]:
            self._seed(number, seed)
            try:
                with RestoredBuffers(self.step.model):
                    yield from self._micro_batches(batch, labels)
            finally:
                self._seed(number, 0)

        return Rehearsal(update, parts(), len(batch.micro_batches))

    def _seed(self, number: int, seed: int) -> None:
        context = self.context
        seed_step(context.recipe.seed, number, context.ranks.rank, self.device, seed)

    def _seed_of(self, draw: int) -> int:
        """Return the seed of a draw's own dropout; 0 for the trained one, as without draws."""
        return (draw - self.step.step.trained) % self.batches.draws

    def _differentiate(
        self,
        batch: UpdateBatch,
        labels: BatchLabels,
        update: UpdateInfo,
        decision: TaskWeights | None,
    ) -> tuple[list[StepResult], list[float]]:
        results, fractions = [], []
        last = len(batch.micro_batches) - 1
        for micro_batch in self._micro_batches(batch, labels):
            with unreduced(self.module) if micro_batch.index < last else nullcontext():
                result = self.module(micro_batch, update, decision)
                loss = scaled(result.differentiated, self.step.step.passes.scale)
                loss.backward()  # type: ignore[no-untyped-call]
            results.append(result.detached())
            fractions.append(micro_batch.fraction)
        return results, fractions

    def _micro_batches(self, batch: UpdateBatch, labels: BatchLabels) -> Iterator[MicroBatch]:
        """Yield this rank's micro-batches of `batch`, on the device."""
        for number, index in enumerate(batch.micro_batches):
            read = labels.inputs
            inputs = self.context.data.train.inputs[index] if read is None else read[number]
            yield MicroBatch(
                inputs=map_batch(partial(to_device, device=self.device), inputs),
                targets={
                    task: to_device(target, self.device)
                    for task, target in labels.targets[number].items()
                },
                weights=to_device(labels.weights[number], self.device),
                fraction=len(index) / len(batch.whole),
                index=number,
            )


def _summed_counts(labels: Sequence[BatchLabels]) -> Tensor:
    """Return the counts (T,) of an update from those of its draws."""
    if len(labels) == 1:
        return labels[0].counts
    return torch.stack([part.counts for part in labels]).sum(dim=0)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy `values` to `device`; they are pinned, so that the copy to a GPU is asynchronous."""
    if device.type == "cpu":
        return values
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
