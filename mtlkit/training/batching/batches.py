"""The samples of each update: a pure function of seed and step, so no state is saved.

The order of an epoch is drawn from (seed, epoch), and that of a group of samples also from its
name. Random numbers inside a step (dropout) are drawn from (seed, step, rank), those of transforms
from (seed, epoch, sample, pass). A run that resumes at any step is therefore identical to an
uninterrupted one.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError
from mtlkit.training.batching.batch_order import Order
from mtlkit.training.batching.drawn import Drawn, Origins, joined
from mtlkit.training.batching.random_keys import key_number
from mtlkit.training.devices.device import seed_device
from mtlkit.weightings.kinds import StepInfo


@attrs.frozen(eq=False)
class UpdateBatch:
    """Samples of an update or a draw: `whole` on all ranks, and this rank's micro-batches.

    `origins` are those of `whole`, and `micro_origins` of each micro-batch, if samples are drawn by
    group.
    """

    epoch: int
    whole: Tensor
    micro_batches: tuple[Tensor, ...]
    origins: Origins | None = None
    micro_origins: tuple[Origins, ...] = ()


class Batches:
    """The samples of each update in an `order`, over `world` ranks and micro-batches.

    Draws, micro-batches and ranks divide an update as evenly as possible, in this order, so that a
    micro-batch has the same samples for any number of ranks. With `separate`, each group of samples
    is divided by itself and has its own micro-batches. Raises `AssemblyError` if the part of a rank
    would be empty.

    >>> from mtlkit.training.batching.batch_order import JointOrder
    >>> [len(Batches(JointOrder(130, 64, seed=0)).update(step).whole) for step in range(3)]
    [44, 43, 43]
    """

    def __init__(
        self,
        order: Order,
        *,
        accumulate: int = 1,
        world: int = 1,
        draws: int = 1,
        separate: bool = False,
    ) -> None:
        self.per_epoch = order.per_epoch
        smallest = order.smallest_group if separate else order.smallest
        self.smallest = smallest // (world * accumulate * draws)
        """The fewest samples of a micro-batch."""
        if self.smallest < 1:
            drawn = f"{draws} draws, " if draws > 1 else ""
            key, kind = ("train.batches", "groups") if separate else ("train.batch", "updates")
            raise AssemblyError(
                f"{key}: {kind} of {smallest} samples cannot be divided among {drawn}"
                f"{world} processes and {accumulate} micro-batches; use a larger batch, or fewer "
                f"of them"
            )
        self.order = order
        self.accumulate = accumulate
        self.world = world
        self.draws = draws
        self.separate = separate
        self._epochs: dict[int, Sequence[Drawn]] = {}  # the last two

    def update(self, step: int, rank: int = 0) -> UpdateBatch:
        """Return the samples of the update `step`, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        updates = self._epochs.get(epoch)
        if updates is None:
            updates = self.order.updates(epoch)
            newest = dict([*self._epochs.items()][-1:])
            self._epochs = {**newest, epoch: updates}  # replaced at once, for several threads
        return self._divided(epoch, updates[position], rank)

    def drawn(self, batch: UpdateBatch, rank: int = 0) -> tuple[UpdateBatch, ...]:
        """Return the draws of an update: disjoint, and each divided as an update is."""
        if self.draws == 1:
            return (batch,)
        parts = self._split(Drawn(batch.whole, batch.origins), self.draws)
        return tuple(self._divided(batch.epoch, part, rank) for part in parts)

    def _divided(self, epoch: int, whole: Drawn, rank: int) -> UpdateBatch:
        if whole.origins is None and self.world == self.accumulate == 1:
            return UpdateBatch(epoch, whole.samples, (whole.samples,))
        parts = [
            self._split(part, self.world)[rank] for part in self._split(whole, self.accumulate)
        ]
        if self.separate:
            parts = [group for part in parts for group in part.by_group()]
        return UpdateBatch(
            epoch,
            whole.samples,
            tuple(part.samples for part in parts),
            whole.origins,
            tuple(part.origins for part in parts if part.origins is not None),
        )

    def _split(self, whole: Drawn, count: int) -> list[Drawn]:
        """Divide samples into `count` parts; with `separate`, each group by itself."""
        if not self.separate:
            return whole.split(count)
        groups = [group.split(count) for group in whole.by_group()]
        return [joined(parts) for parts in zip(*groups, strict=True)]


def step_info(seed: int, number: int, epoch: int, *, opens: bool) -> StepInfo:
    """Return the position of update `number` in training, with a seed shared by all ranks."""
    return StepInfo(number, epoch, opens, key_number(seed, "weighting", number))


def seed_step(seed: int, step: int, rank: int, device: torch.device, draw: int = 0) -> None:
    """Seed the random number generators of the CPU and of `device` for the update `step`.

    Each `rank` and each `draw` of samples has its own seed.
    """
    number = key_number(seed, "step", step, rank, *([draw] if draw else []))
    # as torch.manual_seed, which takes 100 times as long because it seeds every device type
    torch.default_generator.manual_seed(number)
    seed_device(device, number)


def sample_seed(seed: int, epoch: int, sample: int, place: int, repeat: int = 0) -> int:
    """Return the seed of the transform at `place` of the list, for one sample in one epoch.

    `repeat` counts the earlier passes of the epoch over a group of samples.
    """
    return key_number(seed, "transform", epoch, sample, place, *([repeat] if repeat else []))
