"""The optimizer `rmsprop`."""

import pytest
import torch

from mtlkit_hello.rmsprop import RMSprop


def test_the_first_step_has_the_length_of_the_rate_over_the_root_of_the_decay():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = RMSprop(lr=0.1, alpha=0.75).build([{"params": [weight], "lr": 0.1}])
    weight.grad = torch.tensor([3.0])
    optimizer.step()
    assert weight.item() == pytest.approx(1.0 - 0.1 / (1 - 0.75) ** 0.5)
