"""The weighting `discount`."""

import pytest
import torch

from mtlkit import Role
from mtlkit.plugins import LossTerm
from mtlkit_hello.discount import Discount


def test_each_side_task_has_half_the_weight_of_the_one_before():
    roles = [Role.SIDE, Role.MAIN, Role.SIDE, Role.SIDE]
    terms = tuple(LossTerm(str(n), str(n), r) for n, r in enumerate(roles))
    weights = Discount(rate=0.5).build(terms, features=1).weights
    assert torch.equal(weights, torch.tensor([0.5, 1.0, 0.25, 0.125]))
    assert Discount(rate=0.0).weights(terms) == pytest.approx([0.0, 1.0, 0.0, 0.0])
