"""The plan of batches: every sample once an epoch, even parts, a function of (seed, step)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.errors import AssemblyError
from mtlkit.training.batching.batch_order import JointOrder
from mtlkit.training.batching.batches import Batches, seed_step


@settings(max_examples=60)
@given(
    samples=st.integers(1, 200),
    batch=st.integers(1, 64),
    accumulate=st.integers(1, 3),
    world=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_an_epoch_takes_every_sample_once_in_even_parts(samples, batch, accumulate, world, seed):
    try:
        batches = Batches(JointOrder(samples, batch, seed=seed), accumulate=accumulate, world=world)
    except AssemblyError:
        assert samples // -(-samples // batch) < accumulate * world
        return
    seen, sizes, parts = [], [], []
    for step in range(batches.per_epoch):
        updates = [batches.update(step, rank) for rank in range(world)]
        micro = [update.micro_batches for update in updates]
        own = torch.cat([torch.cat(ranks) for ranks in zip(*micro, strict=True)])
        assert own.equal(updates[0].whole)  # ranks divide the very same samples, in order
        parts += [len(part) for update in updates for part in update.micro_batches]
        sizes.append(len(own))
        seen.append(own)
    assert sorted(torch.cat(seen).tolist()) == list(range(samples))
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    assert min(parts) >= 1


def test_the_same_samples_meet_in_a_micro_batch_at_any_number_of_ranks():
    order = JointOrder(130, 64, seed=0)
    alone = Batches(order, accumulate=3).update(1).micro_batches
    for world in (2, 3, 5):
        batches = Batches(order, accumulate=3, world=world)
        ranks = [batches.update(1, rank).micro_batches for rank in range(world)]
        assert [torch.cat(parts).tolist() for parts in zip(*ranks, strict=True)] == [
            part.tolist() for part in alone
        ]


def test_no_rest_of_one_sample_is_left_over():
    batches = Batches(JointOrder(65, 64, seed=0))
    assert [len(batches.update(step).whole) for step in range(2)] == [33, 32]


def test_the_order_depends_on_seed_and_epoch_alone():
    one, other = Batches(JointOrder(40, 8, seed=1)), Batches(JointOrder(40, 8, seed=1))
    for step in (7, 2, 12, 2):  # in any order, as after a resume
        assert one.update(step).whole.equal(other.update(step).whole)
    epochs = [torch.cat([one.update(e * 5 + i).whole for i in range(5)]) for e in range(2)]
    assert not epochs[0].equal(epochs[1])
    assert not one.update(0).whole.equal(Batches(JointOrder(40, 8, seed=2)).update(0).whole)
    assert one.update(5).epoch == 1


def test_the_order_is_pinned():
    """Old runs must go on as they began: the draw may not change between versions."""
    assert Batches(JointOrder(6, 6, seed=0)).update(0).whole.tolist() == [5, 2, 1, 3, 4, 0]


def test_drawing_an_order_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    Batches(JointOrder(10, 2, seed=0)).update(0)
    assert torch.rand(2).equal(expected)


def test_each_step_and_rank_draws_its_own_numbers():
    def draw(*key):
        seed_step(*key, torch.device("cpu"))
        return torch.rand(4).tolist()

    assert draw(0, 5, 0) == draw(0, 5, 0)
    draws = {tuple(draw(*key)) for key in [(0, 5, 0), (0, 6, 0), (1, 5, 0), (0, 5, 1)]}
    assert len(draws) == 4


def test_the_numbers_of_a_step_are_those_of_torch_manual_seed(monkeypatch):
    on_cuda = []
    monkeypatch.setattr(torch.cuda, "manual_seed", on_cuda.append)
    seed_step(0, 5, 0, torch.device("cpu"))
    drawn, seed = torch.rand(3), torch.initial_seed()
    assert seed == 3448896019993012260  # pinned: old runs must go on as they began
    torch.random.default_generator.manual_seed(seed)
    assert torch.rand(3).equal(drawn)
    assert on_cuda == []
    seed_step(0, 5, 0, torch.device("cuda", 0))
    assert on_cuda == [seed]


def test_parts_without_samples_are_refused():
    with pytest.raises(AssemblyError, match="cannot be divided among 2 processes and 3 micro"):
        Batches(JointOrder(50, 5, seed=0), accumulate=3, world=2)
    with pytest.raises(AssemblyError, match="the training split is empty"):
        Batches(JointOrder(0, 5, seed=0))
