"""The op `hinge`."""

import torch

from mtlkit_hello.hinge import hinge


def test_rows_beyond_the_margin_cost_nothing():
    x = torch.tensor([[2.0, 1.0], [0.0, 3.0], [-1.0, 0.5]])
    assert hinge(x).tolist() == [0.0, 1.0, 4.25]
