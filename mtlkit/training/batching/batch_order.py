"""The order of samples in an epoch: of all together, or of groups that are drawn by themselves."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction

import attrs
import torch
from torch import Tensor

from mtlkit.data.blocks import SampleBlocks, permutation
from mtlkit.data.dataset import Mixture, Split
from mtlkit.errors import AssemblyError
from mtlkit.grouped_batches import TASK, GroupedBatches
from mtlkit.recipe import Recipe
from mtlkit.training.batching.drawn import Drawn, Origins, joined
from mtlkit.training.batching.random_keys import key_generator


class Order(ABC):
    """The samples of the updates of each epoch, a pure function of seed and epoch.

    `smallest` is the fewest samples of an update, `smallest_group` of a group in an update.
    """

    per_epoch: int
    smallest: int
    smallest_group: int

    @abstractmethod
    def updates(self, epoch: int) -> Sequence[Drawn]:
        """Return the samples of the updates of `epoch`, counted from 0."""


class JointOrder(Order):
    """All `samples` once an epoch, in updates of at most `batch`; in a block order with `blocks`.

    The sizes of the updates of an epoch differ by at most one sample: 130 samples in batches of 64
    are updates of 44, 43 and 43. A small last batch would be a noisy update, and batch norm fails
    on a single sample.

    >>> [update.samples.tolist() for update in JointOrder(3, 2, seed=0).updates(0)]
    [[2, 1], [0]]
    """

    def __init__(
        self, samples: int, batch: int, *, seed: int, blocks: SampleBlocks | None = None
    ) -> None:
        if samples == 0:
            raise AssemblyError("the training split is empty; expected one sample or more")
        self.per_epoch = _passes(samples, batch)
        self.smallest = self.smallest_group = samples // self.per_epoch
        self.samples, self.seed, self.blocks = samples, seed, blocks

    def updates(self, epoch: int) -> Sequence[Drawn]:
        generator = key_generator(self.seed, "order", epoch)
        order = permutation(self.samples, self.blocks, generator)
        return [Drawn(part) for part in order.tensor_split(self.per_epoch)]


@attrs.frozen(eq=False)
class Group:
    """Indices (N,) of a group's samples, with `batches` of at most `size` of them in an epoch.

    With `blocks` of these samples, each pass has a block order. The batches of an `exact` group all
    have `size` samples, so that the last one may begin another pass.
    """

    name: str
    samples: Tensor
    size: int
    batches: int
    blocks: SampleBlocks | None = None
    exact: bool = False

    @property
    def smallest(self) -> int:
        """Fewest samples of a batch."""
        return len(self.samples) // self.batches if self._one_pass else self.size

    @property
    def _one_pass(self) -> bool:
        return not self.exact and _passes(len(self.samples), self.size) == self.batches

    def drawn(self, number: int, seed: int, epoch: int) -> list[Drawn]:
        """Return the batches of `epoch`, for the group `number`.

        Each pass has its own order. If the batches are one pass, their
        sizes differ by at most one; otherwise all have the same size.
        """
        count = len(self.samples)
        total = count if self._one_pass else self.size * self.batches
        orders = [
            permutation(count, self.blocks, key_generator(seed, "order", epoch, self.name, turn))
            for turn in range(_passes(total, count))
        ]
        places = torch.arange(total)
        origins = Origins(torch.full((total,), number), places // count)
        stream = Drawn(self.samples[torch.cat(orders)[:total]], origins)
        return stream.split(self.batches)


class GroupedOrder(Order):
    """Samples of all groups in each update; those of a group are spread evenly over the update."""

    def __init__(self, groups: Sequence[Group], *, seed: int) -> None:
        self.groups, self.seed = groups, seed
        self.per_epoch = groups[0].batches
        self.smallest_group = min(group.smallest for group in groups)
        self.smallest = sum(group.smallest for group in groups)

    def updates(self, epoch: int) -> Sequence[Drawn]:
        drawn = [group.drawn(n, self.seed, epoch) for n, group in enumerate(self.groups)]
        return [_merged(parts) for parts in zip(*drawn, strict=True)]


class AlternatingOrder(Order):
    """Samples of one group in each update, with a fixed number of updates of each in an epoch."""

    def __init__(self, groups: Sequence[Group], *, seed: int) -> None:
        self.groups, self.seed = groups, seed
        self.per_epoch = sum(group.batches for group in groups)
        self.smallest = self.smallest_group = min(group.smallest for group in groups)

    def updates(self, epoch: int) -> Sequence[Drawn]:
        drawn = [
            part for n, group in enumerate(self.groups) for part in group.drawn(n, self.seed, epoch)
        ]
        order = torch.randperm(len(drawn), generator=key_generator(self.seed, "groups", epoch))
        return [drawn[place] for place in order.tolist()]


def _merged(parts: Sequence[Drawn]) -> Drawn:
    """Return the samples of all parts, so that any slice has about the same fraction of each."""
    places = [(torch.arange(len(p.samples)) + 0.5) / len(p.samples) for p in parts]
    return joined(parts).at(torch.cat(places).argsort(stable=True))


def batch_order(recipe: Recipe, train: Split) -> Order:
    """Return the order in which `recipe` reads the training split `train`.

    Raises `AssemblyError` if the settings of its batches do not fit the data.
    """
    batches, batch = recipe.train.batches, recipe.train.batch
    exact = False
    if not isinstance(batches, GroupedBatches):
        if train.mixture is None:
            return JointOrder(len(train), batch, seed=recipe.seed, blocks=train.blocks)
        batches, exact = _of_mixture(train.mixture, train, batch), True
    members = _by_task(recipe, train) if batches.per == TASK else _by_class(train, batches.per)
    for option, message in batches.misnamed(tuple(members)):
        raise AssemblyError(f"train.batches.{option}: {message}")
    counts = {name: len(samples) for name, samples in members.items()}
    ratios = _ratios(batches, counts)
    if batches.alternate:
        sizes = {name: batches.sizes.get(name, batch) for name in members}
    else:
        sizes = dict(batches.sizes) or _divided("train.batch", batch, ratios)
    updates = _updates(batches, counts, sizes, ratios)
    groups = []
    for name, samples in members.items():
        blocks = train.blocks and train.blocks.at(samples)
        groups.append(Group(name, samples, sizes[name], updates[name], blocks, exact))
    kind = AlternatingOrder if batches.alternate else GroupedOrder
    return kind(groups, seed=recipe.seed)


def _of_mixture(mixture: Mixture, train: Split, batch: int) -> GroupedBatches:
    """Return the batches that draw the sources of a mixture in its ratios."""
    batches = GroupedBatches(per=mixture.label, ratios=mixture.ratios)
    if mixture.epoch == "longest":
        return batches
    if mixture.epoch == "shortest":
        return attrs.evolve(batches, epoch="shortest")
    counts = {name: len(samples) for name, samples in _by_class(train, mixture.label).items()}
    sizes = _divided("train.batch", batch, _ratios(batches, counts))
    return attrs.evolve(batches, epoch=_passes(counts[mixture.epoch], sizes[mixture.epoch]))


def _by_task(recipe: Recipe, train: Split) -> dict[str, Tensor]:
    """Return the indices of the samples that have the label of each task."""
    return {
        name: train.column(task.target or name).present().nonzero().flatten()
        for name, task in recipe.tasks.items()
    }


def _by_class(train: Split, label: str) -> dict[str, Tensor]:
    """Return the indices of the samples of each class that `label` has in training."""
    column = train.categorical(label)
    missing = int((column.codes < 0).sum())
    if missing:
        raise AssemblyError(
            f"train.batches.per: {missing} of {len(train)} training samples lack the label "
            f"{label!r}; choose a label that every sample has"
        )
    members = {
        name: (column.codes == code).nonzero().flatten() for code, name in enumerate(column.names)
    }
    return {name: samples for name, samples in members.items() if len(samples)}


def _ratios(batches: GroupedBatches, counts: Mapping[str, int]) -> dict[str, Fraction]:
    """Return the fraction of each group; they sum to 1."""
    if batches.temperature is None:
        ratios = {name: float(batches.ratios.get(name, 1.0)) for name in counts}
    else:
        # relative to the largest, so that no power overflows
        largest = max(counts.values())
        ratios = {name: (n / largest) ** (1 / batches.temperature) for name, n in counts.items()}
    exact = {name: Fraction(ratio).limit_denominator(10**12) for name, ratio in ratios.items()}
    whole = sum(exact.values())
    return {name: ratio / whole for name, ratio in exact.items()}


def _divided(key: str, total: int, ratios: Mapping[str, Fraction]) -> dict[str, int]:
    """Divide `total` by `ratios` into whole numbers of at least 1, by largest remainders."""
    if total < len(ratios):
        raise AssemblyError(
            f"{key}: got {total} for {len(ratios)} groups of samples; expected one for each or more"
        )
    counts = {name: max(1, math.floor(ratio * total)) for name, ratio in ratios.items()}

    def excess(name: str) -> Fraction:
        return counts[name] - ratios[name] * total

    while (rest := total - sum(counts.values())) != 0:
        if rest > 0:
            counts[min(counts, key=excess)] += 1
        else:
            counts[max((name for name in counts if counts[name] > 1), key=excess)] -= 1
    return counts


def _updates(
    batches: GroupedBatches,
    counts: Mapping[str, int],
    sizes: Mapping[str, int],
    ratios: Mapping[str, Fraction],
) -> dict[str, int]:
    """Return the number of updates of each group in an epoch."""
    of_passes = min if batches.epoch == "shortest" else max
    if not batches.alternate:
        needed = of_passes(_passes(counts[name], sizes[name]) for name in counts)
        return dict.fromkeys(counts, batches.epoch if isinstance(batches.epoch, int) else needed)
    if isinstance(batches.epoch, int):
        return _divided("train.batches.epoch", batches.epoch, ratios)
    total = of_passes(counts[name] / (sizes[name] * ratios[name]) for name in counts)
    return {name: math.ceil(ratio * total) for name, ratio in ratios.items()}


def _passes(samples: int, batch: int) -> int:
    """Return the number of batches of at most `batch` that hold `samples`."""
    return -(-samples // batch)
