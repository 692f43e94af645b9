"""The provider of gradients at the features."""

import torch

from mtlkit.routing.module import Features
from mtlkit.train.gradients import cut, gather_columns, own_columns
from mtlkit.train.ranks import Ranks


def three_ways_out():
    x = torch.randn(4, 3, requires_grad=True)
    return x, Features(x * 2, maps=(x + 1).unsqueeze(-1), own={"age": x.exp()})


def test_the_leaves_have_the_values_and_not_the_graph():
    _, features = three_ways_out()
    at = cut(features)
    assert at.features.shared.equal(features.shared)
    assert at.features.maps.equal(features.maps)
    assert at.features.of("age").equal(features.own["age"])
    assert at.features.of("other").equal(features.shared)
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in at.leaves)


def test_the_jacobian_has_a_row_for_each_loss_and_zeros_where_nothing_depends():
    _, features = three_ways_out()
    at = cut(features)
    losses = torch.stack([at.features.shared.sum(), (3 * at.features.of("age")).sum()])
    jacobian = at.jacobian(losses)
    zeros, ones = torch.zeros(12), torch.ones(12)
    assert (
        jacobian.tolist()
        == torch.stack(
            [torch.cat([ones, zeros, zeros]), torch.cat([zeros, zeros, 3 * ones])]
        ).tolist()
    )


def test_the_surrogate_carries_a_direction_into_the_trunk():
    x, features = three_ways_out()
    at = cut(features)
    direction = torch.randn(36)
    (found,) = torch.autograd.grad(at.surrogate(direction), x)
    shared, maps, own = (part.view(4, 3) for part in direction.split(12))
    torch.testing.assert_close(found, 2 * shared + maps + own * x.exp())


def test_no_gradient_of_the_heads_goes_past_the_cut():
    x, features = three_ways_out()
    at = cut(features)
    at.features.shared.sum().backward()
    assert x.grad is None


def test_one_process_has_all_columns():
    own = torch.randn(2, 5)
    assert gather_columns(own, Ranks()) is own
    assert own_columns(own[0], own, Ranks()).equal(own[0])
