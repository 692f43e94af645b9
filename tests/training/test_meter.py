"""The meter: a resumed process continues its own sums, in the order of an uninterrupted one."""

import pytest
import torch

from mtlkit.task import Task, loss_terms
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.meter import Meter

TERMS = loss_terms({"pose": Task(), "light": Task()})


class TwoRanks(Ranks):
    """A rank of two, whose partner has given its values to each sum in advance."""

    partner: torch.Tensor | None = None

    def sum(self, values):
        return values if self.partner is None else values + self.partner


def meter(rank, world, value):
    one = Meter(TERMS, torch.device("cpu"), TwoRanks(rank, world))
    one.sums.fill_(value)
    one.gramian.fill_(value)
    return one


def gathered(values):
    """The states of the ranks, as each of them stores it."""
    states = [meter(rank, len(values), value).state() for rank, value in enumerate(values)]
    joined = dict(states[0])
    for name in ("sums", "gramian"):
        joined[name] = sum(
            torch.tensor(state[name], dtype=torch.float64) for state in states
        ).tolist()
    return joined


@pytest.mark.parametrize("rank", [0, 1])
def test_each_rank_gets_its_own_sums_back(rank):
    values = (0.1, 0.7)
    restored = meter(rank, 2, 0.0)
    restored.restore(gathered(values))
    assert restored.sums.equal(torch.full((2, 2), values[rank]))
    assert restored.gramian.equal(torch.full((2, 2), values[rank], dtype=torch.float64))


def test_one_process_gets_the_sums_of_all():
    restored = meter(0, 1, 0.0)
    restored.restore(gathered((0.25, 0.5)))
    assert restored.sums.equal(torch.full((2, 2), 0.75))
