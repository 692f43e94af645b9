"""The router `adapters`."""

import torch

from mtlkit_hello.adapters import Bottleneck


def test_an_adapter_with_zero_weights_changes_nothing():
    adapter = Bottleneck(3, 2)
    torch.nn.init.zeros_(adapter[2].weight)
    torch.nn.init.zeros_(adapter[2].bias)
    assert torch.equal(adapter(torch.ones(1, 3)), torch.zeros(1, 3))
