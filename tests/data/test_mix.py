"""A mixture keeps its ratios in every update, at any number of ranks, and refuses collisions."""

import attrs
import pytest
import torch

from mtlkit.backbones import MLP
from mtlkit.data import Categorical, Data, DataSource, Loading, Mix, Numeric, Split
from mtlkit.data.blocks import SampleBlocks
from mtlkit.errors import DataError
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task
from mtlkit.training.batching.batch_order import batch_order
from mtlkit.training.batching.batches import Batches


@attrs.frozen(kw_only=True)
class Numbers(DataSource):
    """Numbers from `start` on, with a class label; in blocks of 5 if `blocks`."""

    count: int
    start: int = 0
    names: tuple[str, ...] = ("x", "y")
    blocks: bool = False

    def load(self, loading):
        numbers = torch.arange(self.start, self.start + self.count)
        split = Split(
            inputs=numbers.float().unsqueeze(1),
            columns={"who": Categorical(numbers % len(self.names), self.names),
                     "age": Numeric(numbers.double())},
            ids=list(map(str, numbers.tolist())),
            blocks=SampleBlocks.of(torch.arange(self.count) // 5, 2) if self.blocks else None,
        )  # fmt: skip
        return Data(train=split, validation=split.subset(torch.arange(2)), mean=0.0, std=1.0)


def mix(**options):
    sources = {"a": Numbers(count=60, blocks=True), "b": Numbers(count=7, start=100)}
    return Mix(**{"sources": sources, "ratios": {"a": 3}, "shared": ("who",), **options})


def order_of(source, batch=8):
    recipe = Recipe(
        data=source, backbone=MLP(), tasks={"who": Task()}, train=Train(batch=batch), seed=3
    )
    return batch_order(recipe, source.load(Loading()).train)


@pytest.mark.parametrize("epoch", ["a", "longest", "b", "shortest"])
def test_every_update_has_the_ratios(epoch):
    order = order_of(mix(epoch=epoch))
    assert order.per_epoch == (10 if epoch in ("a", "longest") else 4)
    passes = []
    for number in range(3):
        updates = order.updates(number)
        for update in updates:
            assert ((update.samples < 60).sum(), (update.samples >= 60).sum()) == (6, 2)
        passes.append(torch.cat([update.samples for update in updates]))
    if epoch == "a":
        assert sorted(p for p in passes[0].tolist() if p < 60) == list(range(60))
    assert not passes[0].equal(passes[1])
    again = order_of(mix(epoch=epoch)).updates(0)
    assert torch.cat([update.samples for update in again]).equal(passes[0])


def test_the_samples_of_an_update_are_the_same_at_any_number_of_ranks():
    order = order_of(mix())
    for step in (0, 7, 13):
        alone = Batches(order, accumulate=2).update(step).micro_batches
        for world in (2, 3):
            batches = Batches(order, accumulate=2, world=world)
            ranks = [batches.update(step, rank).micro_batches for rank in range(world)]
            for number, part in enumerate(alone):
                assert torch.cat([rank[number] for rank in ranks]).equal(part)


def test_a_source_in_blocks_keeps_its_blocks():
    first = torch.cat([update.samples for update in order_of(mix()).updates(0)])
    blocks = [p // 5 for p in first.tolist() if p < 60]
    for start in range(0, 60, 10):  # windows of two blocks
        assert len(set(blocks[start : start + 10])) == 2
    plain = Mix(sources={"a": Numbers(count=60), "b": Numbers(count=7, start=100)}, shared=("who",))
    assert plain.load(Loading()).train.blocks is None


def test_classes_of_one_name_must_be_declared():
    with pytest.raises(DataError) as caught:
        mix(shared=()).load(Loading())
    assert str(caught.value) == (
        "data.sources.b: the label 'who' got the classes x, y, which a has too; expected different "
        "ones, so list the label in `shared` if they mean the same, or in `separate`"
    )
    separate = mix(shared=(), separate=("who",)).load(Loading())
    assert separate.train.categorical("who").names == ("a/x", "a/y", "b/x", "b/y")
    assert separate.validation.categorical("who").names[:2] == ("a/x", "a/y")
    shared = mix().load(Loading())
    assert shared.train.categorical("who").names == ("x", "y")
    other = {"a": Numbers(count=4), "b": Numbers(count=4, names=("z", "y"))}
    with pytest.raises(DataError, match="got the classes y, which a has too"):
        mix(sources=other, shared=()).load(Loading())
    distinct = {"a": Numbers(count=4), "b": Numbers(count=4, names=("v", "w"))}
    assert len(mix(sources=distinct, shared=()).load(Loading()).train) == 8


def test_options_that_name_nothing():
    with pytest.raises(DataError, match=r"data\.separate: got 'whom', expected a class label"):
        mix(separate=("whom",)).load(Loading())
    with pytest.raises(
        ValueError, match=r"epoch: got 'c'; expected one of longest, shortest, a, b"
    ):
        mix(epoch="c")
    with pytest.raises(ValueError, match="ratios: 'c' is not a source"):
        mix(ratios={"c": 1})
    with pytest.raises(ValueError, match="ratios"):
        mix(ratios={"a": 0})
