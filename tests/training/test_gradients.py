"""Detached features, the tasks' gradients at them, and what continues into the backbone."""

import torch

from mtlkit.routers import Features
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.features import detach_features, ends_of
from mtlkit.training.gradients.gramian import gradients_at
from mtlkit.training.gradients.sources import gather_columns
from mtlkit.training.gradients.surrogate import surrogate_loss

TASKS = ("who", "age")


def three_ways_out():
    x = torch.randn(4, 3, requires_grad=True)
    return x, Features(x * 2, maps=(x + 1).unsqueeze(-1), per_task={"age": x.exp()})


def test_the_leaves_have_the_values_and_not_the_graph():
    _, features = three_ways_out()
    at = detach_features(features, TASKS)
    who, age = at.features.copies["who"], at.features.copies["age"]
    assert who.shared.equal(features.shared)
    assert age.shared.equal(features.per_task["age"])
    assert who.maps.equal(features.maps)
    assert age.maps.equal(features.maps)
    assert at.features.shared.equal(features.shared)
    assert at.features.maps.equal(features.maps)
    assert at.features.of("age").equal(features.per_task["age"])
    assert at.features.of("who").equal(features.shared)
    leaves = [leaf for each in (who, age, at.features) for leaf in ends_of(each)]
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in leaves)
    assert len({id(leaf) for leaf in leaves}) == 7  # one pass gives a gradient for each


def test_one_pass_gives_each_task_its_row_and_zeros_where_nothing_depends():
    _, features = three_ways_out()
    at = detach_features(features, TASKS)
    weight = torch.tensor(3.0, requires_grad=True)
    branch, copies = at.features, at.features.copies
    losses = torch.stack(
        [
            copies["who"].shared.sum(),
            weight * copies["age"].shared.sum() + 2 * copies["age"].maps.sum(),
            5 * branch.shared.sum() + 7 * branch.maps.sum(),
        ]
    )
    rows, (beside,) = at.jacobian(losses, TASKS, [weight])
    zeros, ones = torch.zeros(12), torch.ones(12)
    wanted = [[ones, zeros, zeros], [zeros, 2 * ones, 3 * ones], [5 * ones, 7 * ones, zeros]]
    assert rows.tolist() == torch.stack([torch.cat(row) for row in wanted]).tolist()
    assert beside == features.per_task["age"].sum()


def test_several_branches_are_told_apart_too():
    _, features = three_ways_out()
    at = detach_features(features, TASKS)
    branch, copies = at.features, at.features.copies
    losses = torch.stack(
        [copies["who"].shared.sum(), copies["age"].shared.sum()]
        + [factor * branch.shared.sum() for factor in (2, 3)]
    )
    rows, _ = at.jacobian(losses, TASKS)
    assert rows[2:, :12].tolist() == [[2.0] * 12, [3.0] * 12]
    assert not rows[2:, 12:].any()


def test_a_direction_is_carried_into_the_trunk():
    x, features = three_ways_out()
    at = detach_features(features, TASKS)
    direction = torch.randn(36)
    scalar = surrogate_loss(at.pairs(direction), torch.zeros(()))
    assert scalar == 0
    (found,) = torch.autograd.grad(scalar, x)
    shared, maps, own = (part.view(4, 3) for part in direction.split(12))
    torch.testing.assert_close(found, 2 * shared + maps + own * x.exp())


def test_what_is_carried_takes_the_kind_of_number_that_is_there():
    x = torch.ones(2, requires_grad=True)
    half = x.bfloat16()
    (2 * surrogate_loss([(half, torch.tensor([1.0, 2.0]))], torch.zeros(()))).backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_no_gradient_of_the_heads_goes_past_the_cut():
    x, features = three_ways_out()
    at = detach_features(features, TASKS)
    (at.features.copies["who"].shared.sum() + at.features.shared.sum()).backward()
    assert x.grad is None


def test_gradients_of_an_uncut_network_are_rows_too():
    x = torch.randn(4, 3, requires_grad=True)
    features = x * 2
    rows = gradients_at([features], torch.stack([features.sum(), (3 * features).sum()]))
    assert rows.tolist() == [[1.0] * 12, [3.0] * 12]


def test_one_process_has_all_columns():
    own = torch.randn(2, 5)
    joined, start = gather_columns(own, Ranks())
    assert joined is own
    assert start == 0
