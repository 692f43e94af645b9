"""The metric `within`."""

import torch

from mtlkit.data import NumberTarget
from mtlkit_hello.within import Within


def test_hits_at_the_tolerance_count():
    state = Within(tolerance=2.0).build(NumberTarget())
    state.update(torch.tensor([1.0, 5.0, 9.0]), torch.tensor([3.0, 2.0, torch.nan]))
    assert state.compute() == 0.5


def test_its_name_states_the_tolerance():
    assert Within(tolerance=2.0).name == "within-2"
