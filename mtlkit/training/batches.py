"""The samples of each update: a pure function of seed and step, so no state is saved.

The order of an epoch is a permutation drawn from (seed, epoch). Random numbers inside a step
(dropout) are drawn from (seed, step, rank), those of transforms from (seed, epoch, sample). A run
that resumes at any step is therefore identical to an uninterrupted one.
"""

import hashlib

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError
from mtlkit.training.device import seed_device
from mtlkit.weightings.kinds import StepInfo


@attrs.frozen(eq=False)
class UpdateBatch:
    """Samples of an update or a draw: `whole` on all ranks, and this rank's micro-batches."""

    epoch: int
    whole: Tensor
    micro_batches: tuple[Tensor, ...]


class Batches:
    """`samples` samples in updates of at most `batch`, over `world` ranks and micro-batches.

    The sizes of the updates of an epoch differ by at most one sample: 130 samples in batches of 64
    are updates of 44, 43 and 43. A small last batch would be a noisy update, and batch norm fails
    on a single sample. Draws, ranks and micro-batches divide an update as evenly, in this order.
    Raises `AssemblyError` if a micro-batch would be empty.

    >>> [len(Batches(130, 64, seed=0).update(step).whole) for step in range(3)]
    [44, 43, 43]
    """

    def __init__(
        self,
        samples: int,
        batch: int,
        *,
        seed: int,
        accumulate: int = 1,
        world: int = 1,
        draws: int = 1,
    ) -> None:
        if samples == 0:
            raise AssemblyError("the training split is empty; expected one sample or more")
        self.per_epoch = updates_per_epoch(samples, batch)
        smallest = samples // self.per_epoch
        if smallest < world * accumulate * draws:
            drawn = f"{draws} draws, " if draws > 1 else ""
            raise AssemblyError(
                f"train.batch: updates of {smallest} samples cannot be divided among {drawn}"
                f"{world} processes and {accumulate} micro-batches; use a larger batch, or fewer "
                f"of them"
            )
        self.samples = samples
        self.seed = seed
        self.accumulate = accumulate
        self.world = world
        self.draws = draws
        self._epoch = -1
        self._updates: tuple[Tensor, ...] = ()

    def update(self, step: int, rank: int = 0) -> UpdateBatch:
        """Return the samples of the update `step`, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            order = torch.randperm(self.samples, generator=_generator(self.seed, "order", epoch))
            self._epoch, self._updates = epoch, order.tensor_split(self.per_epoch)
        return self._divided(epoch, self._updates[position], rank)

    def drawn(self, batch: UpdateBatch, rank: int = 0) -> tuple[UpdateBatch, ...]:
        """Return the draws of an update: disjoint, and each divided as an update is."""
        parts = batch.whole.tensor_split(self.draws)
        return tuple(self._divided(batch.epoch, part, rank) for part in parts)

    def _divided(self, epoch: int, whole: Tensor, rank: int) -> UpdateBatch:
        if self.world == self.accumulate == 1:
            return UpdateBatch(epoch, whole, (whole,))
        part = whole.tensor_split(self.world)[rank]
        return UpdateBatch(epoch, whole, part.tensor_split(self.accumulate))


def updates_per_epoch(samples: int, batch: int) -> int:
    """Return the number of updates in which an epoch passes over `samples`."""
    return -(-samples // batch)


def step_info(seed: int, number: int, epoch: int, *, opens: bool) -> StepInfo:
    """Return the position of update `number` in training, with a seed shared by all ranks."""
    return StepInfo(number, epoch, opens, _number(seed, "weighting", number))


def seed_step(seed: int, step: int, rank: int, device: torch.device, draw: int = 0) -> None:
    """Seed the random number generators of the CPU and of `device` for the update `step`.

    Each `rank` and each `draw` of samples has its own seed.
    """
    number = _number(seed, "step", step, rank, *([draw] if draw else []))
    # as torch.manual_seed, which takes 100 times as long because it seeds every device type
    torch.default_generator.manual_seed(number)
    seed_device(device, number)


def sample_seed(seed: int, epoch: int, sample: int, place: int) -> int:
    """Return the seed of the transform at `place` of the list, for one sample in one epoch."""
    return _number(seed, "transform", epoch, sample, place)


def _generator(*key: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(_number(*key))


def _number(*key: int | str) -> int:
    """Return a number of 63 bits from `key`, the same on every machine and in every version."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
