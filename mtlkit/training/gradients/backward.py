"""The gradient of one update: all its micro-batches, seen first where the weighting must decide.

What must be seen first is rehearsed: the same samples, the same dropout, and no trace of it in the
statistics of batch norm.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import attrs
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mtlkit.training.batches import Batches, UpdateBatch, moment_of, seed_step
from mtlkit.training.context import TrainingContext
from mtlkit.training.gradients.features import gramian_of
from mtlkit.training.gradients.sources import AtParameters
from mtlkit.training.gradients.step import StepResult, TrainingStep
from mtlkit.training.gradients.task_weights import MicroBatchStats, TaskWeights, UpdateInfo, weigh
from mtlkit.weightings.kinds import (
    AfterStep,
    DoubleSampling,
    GramianWeighting,
    Lookahead,
    WeightingModule,
)


@attrs.frozen(eq=False)
class BackwardResult:
    """The gradient of an update: its samples, what each micro-batch gave, and its share of them."""

    portion: UpdateBatch
    whole: UpdateInfo
    results: Sequence[StepResult]
    shares: Sequence[float]


@attrs.frozen(eq=False)
class _Look:
    """What was seen of a draw: its Jacobian (T, P), its mean losses (T,), each sample's losses."""

    portion: UpdateBatch
    rows: Tensor
    losses: Tensor
    per_sample: Sequence[Tensor]


def draws_of(weighting: WeightingModule) -> int:
    """Into how many draws of samples an update is divided."""
    return (
        3 if isinstance(weighting, DoubleSampling) else 2 if isinstance(weighting, Lookahead) else 1
    )


class Backward:
    """Leaves the gradient of an update in the parameters; `module` is `inner`, or DDP around it."""

    def __init__(
        self, inner: TrainingStep, module: nn.Module, batches: Batches, setting: TrainingContext
    ) -> None:
        self.inner, self.module = inner, module
        self.batches, self.setting = batches, setting
        self.device = setting.device

    def make(self, step: int, portion: UpdateBatch, rate: float, *, watch: bool) -> BackwardResult:
        """The gradient of the update `step`; `rate` is the learning rate of what is shared."""
        whole = self._whole(step, portion, watch=watch)
        weighting = self.inner.weighting
        if isinstance(weighting, DoubleSampling):
            return self._by_draws(step, portion, whole)
        if isinstance(weighting, Lookahead):
            return self._by_looking_ahead(step, portion, whole, rate)
        decision = None
        if len(portion.micro_batches) > 1 and self.inner.looks_first:
            decision = self.inner.decide(self._rehearse(step, portion, whole), whole)
        return self._differentiate(portion, whole, decision)

    def after_step(self, step: int, made: BackwardResult) -> None:
        """Let a weighting that learns from the change of the losses see them after the update."""
        weighting = self.inner.weighting
        if not isinstance(weighting, AfterStep):
            return
        before = self.inner.ranks.sum(_mean(made.results, made.whole))
        after = self._joined(self._rehearse(step, made.portion, made.whole))
        weighting.after_step(made.whole.known(before), made.whole.present(after))

    def _by_draws(self, step: int, portion: UpdateBatch, whole: UpdateInfo) -> BackwardResult:
        """Weights from two draws, at the gradient of a third."""
        draws = self.batches.drawn(portion, self.setting.ranks.rank)
        first, second = self._look(step, draws[0], 1), self._look(step, draws[1], 2)
        weights = self._weigh(first, second, whole)
        made = self._differentiate(draws[2], self._whole(step, draws[2]), weights)
        return _after([first, second], made, whole)

    def _by_looking_ahead(
        self, step: int, portion: UpdateBatch, whole: UpdateInfo, rate: float
    ) -> BackwardResult:
        """Weights for one draw by what a step along it does to another."""
        draws = self.batches.drawn(portion, self.setting.ranks.rank)
        weighting, provider = self.inner.weighting, self.inner.provider
        assert isinstance(weighting, Lookahead)
        assert isinstance(provider, AtParameters)
        first = self._look(step, draws[0], 0)
        along = weighting.present_weights(whole.places) @ whole.present(first.rows)
        with provider.moved(-rate * along):
            second = self._look(step, draws[1], 1)
        weights = self._weigh(first, second, whole)
        made = self._differentiate(draws[0], self._whole(step, draws[0]), weights)
        return _after([second], made, whole)

    def _weigh(self, first: "_Look", second: "_Look", whole: UpdateInfo) -> TaskWeights:
        """The weights that two Jacobians and the losses of the first draw give."""
        weighting = self.inner.weighting
        assert isinstance(weighting, GramianWeighting)
        crossed = gramian_of(first.rows, second.rows)
        weights = weigh(weighting, crossed, first.losses, whole)
        return TaskWeights(weights=weights, gramian=gramian_of(first.rows) if whole.watch else None)

    def _look(self, step: int, portion: UpdateBatch, draw: int) -> "_Look":
        """What draw number `draw` tells, over all ranks; each has a chance of its own."""
        seen = self._rehearse(step, portion, self._whole(step, portion), draw)
        assert self.inner.provider is not None
        rows = self.inner.provider.joined([each.rows for each in seen if each.rows is not None])
        return _Look(portion, rows, self._joined(seen), [each.per_sample for each in seen])

    def _joined(self, seen: Sequence[MicroBatchStats]) -> Tensor:
        return self.inner.ranks.sum(torch.stack([each.summary for each in seen]).sum(dim=0))

    def _whole(self, step: int, portion: UpdateBatch, *, watch: bool = False) -> UpdateInfo:
        """What all parts of `portion` must know of it; targets are looked at before they are sent,
        so that nothing waits for the device."""
        targets = self.setting.targets["train"]
        counts = self.inner.model.counts({t: v[portion.whole] for t, v in targets.items()})
        places = counts.nonzero().flatten()
        opens = step % self.batches.per_epoch == 0
        return UpdateInfo(
            counts=sent(counts, self.device),
            places=sent(places, self.device),
            complete=len(places) == len(counts),
            moment=moment_of(self.setting.recipe.seed, step, portion.epoch, opens=opens),
            watch=watch,
        )

    def _rehearse(
        self, step: int, portion: UpdateBatch, whole: UpdateInfo, draw: int = 0
    ) -> list[MicroBatchStats]:
        """What each micro-batch of this rank tells."""
        found: list[MicroBatchStats] = []
        with self._without_trace(step, draw):
            for inputs, targets, share in self._parts(portion):
                with self.setting.autocast():
                    seen = self.inner.observe(inputs, targets, whole, share)
                if found and isinstance(self.inner.provider, AtParameters):
                    # at parameters they add up: one Jacobian is held, not one for each part
                    first = found[0].rows
                    assert first is not None
                    assert seen.rows is not None
                    first += seen.rows
                    seen = attrs.evolve(seen, rows=None)
                found.append(seen)
        return found

    @contextmanager
    def _without_trace(self, step: int, draw: int) -> Iterator[None]:
        """Chance from where the update begins; after it, again, and the model's buffers as before.

        Buffers are the running statistics of batch norm: a rehearsal is no further batch.
        """
        self._seed(step, draw)
        kept = [buffer.clone() for buffer in self.inner.model.buffers()]
        try:
            yield
        finally:
            for buffer, before in zip(self.inner.model.buffers(), kept, strict=True):
                buffer.copy_(before)
            self._seed(step, 0)

    def _seed(self, step: int, draw: int) -> None:
        """Begin the chance of a draw; that of draw 0 is what a step without draws has."""
        seed_step(self.setting.recipe.seed, step, self.setting.ranks.rank, self.device, draw)

    def _differentiate(
        self, portion: UpdateBatch, whole: UpdateInfo, decision: TaskWeights | None
    ) -> BackwardResult:
        results, shares = [], []
        last = len(portion.micro_batches) - 1
        for number, (inputs, targets, share) in enumerate(self._parts(portion)):
            with self._unreduced(number < last):
                with self.setting.autocast():
                    result = self.module(inputs, targets, whole, share, decision, number)
                result.total.backward()
            results.append(attrs.evolve(result, total=result.total.detach()))
            shares.append(share)
        return BackwardResult(portion, whole, results, shares)

    def _parts(self, portion: UpdateBatch) -> Iterator[tuple[Tensor, Mapping[str, Tensor], float]]:
        """The inputs, the targets and the share of each micro-batch of this rank, on the device."""
        train = self.setting.data.train
        for index in portion.micro_batches:
            targets = {
                task: sent(target[index], self.device)
                for task, target in self.setting.targets["train"].items()
            }
            share = len(index) / len(portion.whole)
            yield sent(train.inputs[index], self.device), targets, share

    def _unreduced(self, yes: bool) -> AbstractContextManager[None]:
        """Where `yes`, DDP leaves the reduction of gradients to a later micro-batch."""
        if yes and isinstance(self.module, DistributedDataParallel):
            return self.module.no_sync()
        return nullcontext()


def _after(looks: Sequence[_Look], made: BackwardResult, whole: UpdateInfo) -> BackwardResult:
    """`made`, of one draw, with what was only looked at: all samples of an update are logged."""
    results: list[StepResult] = []
    shares: list[float] = []
    micro_batches: list[Tensor] = []
    for look in looks:
        for per_sample in look.per_sample:
            # no weight is theirs, so they have no share in the logged weights
            nothing = torch.zeros_like(whole.counts)
            results.append(StepResult(per_sample.sum(), per_sample, nothing))
            shares.append(0.0)
        micro_batches += look.portion.micro_batches
    portion = attrs.evolve(
        made.portion, micro_batches=(*micro_batches, *made.portion.micro_batches)
    )
    return BackwardResult(portion, whole, [*results, *made.results], [*shares, *made.shares])


def _mean(results: Sequence[StepResult], whole: UpdateInfo) -> Tensor:
    """The mean losses (T,) of this rank's part of an update."""
    sums = torch.stack([result.per_sample.sum(dim=1) for result in results]).sum(dim=0)
    return sums / whole.counts.clamp(min=1)


def sent(values: Tensor, device: torch.device) -> Tensor:
    """`values` on `device`; the copy to a GPU goes on while the CPU does, which needs pinning."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
