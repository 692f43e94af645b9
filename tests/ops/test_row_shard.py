"""Rows of a matrix, and draws of them, do not depend on the number of processes."""

import math
from itertools import pairwise

import pytest
import torch

from mtlkit.ops import RowShard
from mtlkit.ops.row_shard import BLOCKS


def shards(total, world):
    return [RowShard(total, rank=rank, world=world) for rank in range(world)]


@pytest.mark.parametrize("world", [1, 2, 3, 4, 5, 16, 64])
@pytest.mark.parametrize("total", [64, 1003])
def test_every_row_has_one_owner(total, world):
    parts = shards(total, world)
    spans = [(part.start, part.stop) for part in parts]
    assert spans[0][0] == 0
    assert spans[-1][1] == total
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    blocks = [block for part in parts for block, _, _ in part.blocks()]
    assert blocks == list(range(BLOCKS))


@pytest.mark.parametrize("world", [2, 3, 4, 64])
def test_initial_rows_are_those_of_one_process(world):
    one = RowShard(1003).normal(5, 0.01, key=7)
    assert torch.cat([part.normal(5, 0.01, key=7) for part in shards(1003, world)]).equal(one)
    assert one.std().item() == pytest.approx(0.01, rel=0.05)
    assert not RowShard(1003).normal(5, 0.01, key=8).equal(one)


@pytest.mark.parametrize("world", [2, 3, 4, 64])
def test_drawn_rows_are_those_of_one_process(world):
    target = torch.tensor([3, 500, 1002, 17, 17])
    for step in range(5):
        one = RowShard(1003).draw(0.1, target, (1, step))
        drawn = []
        for part in shards(1003, world):
            own = target[(target >= part.start) & (target < part.stop)] - part.start
            drawn.append(part.draw(0.1, own, (1, step)) + part.start)
        assert torch.cat(drawn).equal(one)


def test_a_block_draws_its_fraction_and_every_present_row():
    shard = RowShard(1003)
    present = torch.arange(12)  # all in the first block of 15 rows
    drawn = shard.draw(0.1, present, (0, 0))
    assert set(present.tolist()) <= set(drawn.tolist())
    for block, start, stop in shard.blocks():
        inside = ((drawn >= start) & (drawn < stop)).sum().item()
        assert inside == (12 if block == 0 else math.ceil(0.1 * (stop - start)))


def test_every_row_is_drawn_in_time():
    shard = RowShard(1003)
    seen = torch.zeros(1003)
    for step in range(200):
        seen[shard.draw(0.1, torch.tensor([0]), (0, step))] += 1
    assert seen.min() > 0
    assert seen[1:].max() < 60  # of about 27 expected in blocks that draw 2 of 15
