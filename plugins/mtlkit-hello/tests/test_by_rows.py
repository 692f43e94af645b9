"""The implementation `by-rows`."""

import torch

from mtlkit import load_catalog
from mtlkit.ops import linear_cross_entropy


def test_the_cross_entropy_by_rows_is_that_of_torch():
    by_rows = load_catalog().implementations.get("hello/by-rows")
    x, weight, target = torch.randn(300, 4), torch.randn(7, 4), torch.randint(7, (300,))
    loss = linear_cross_entropy(x, weight, target, implementation=by_rows)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(x @ weight.T, target))
