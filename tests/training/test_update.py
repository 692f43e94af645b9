"""One update: accumulation, groups, learning rates, and what stops it."""

import attrs
import pytest
import torch
from torch import nn

from mtlkit.errors import NotFiniteError
from mtlkit.optim import SGD, Cosine
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.gradients.backward import to_device
from mtlkit.training.optimization.parameter_groups import parameter_groups
from mtlkit.training.signals import StopRequest
from mtlkit.weightings import Dynamic, Equal, Uncertainty


def with_train(recipe, **changes):
    return attrs.evolve(recipe, train=attrs.evolve(recipe.train, **changes))


def after(points, recipe, updates=4):
    made = points.updater(recipe)
    for step in range(updates):
        made.update(step)
    return made


def test_the_meter_gives_means_over_the_targets_present(points):
    recipe = with_train(points.PLAIN, batch=50)
    made = points.updater(recipe)
    context = made.context
    targets, inputs = context.targets["train"], context.data.train.inputs
    with torch.no_grad():
        each = made.inner.model.losses(inputs, targets, made.inner.model.counts(targets))
    made.update(0)
    losses, weights = made.meter.read()
    assert list(losses) == ["who", "side", "rare", "age"]
    present = targets["rare"] >= 0
    assert losses["rare"] == pytest.approx(each.per_sample[2][present].mean().item(), rel=1e-5)
    assert weights == {"who": 1, "side": 1, "rare": 1, "age": 1}
    assert made.meter.read()[0] == {}  # nothing since, and no number made up for it


def test_a_rerun_is_identical_to_the_bit(points):
    one, other = (tensors_of(after(points, points.LEARNED).inner) for _ in range(2))
    assert all(one[key].equal(other[key]) for key in one)


def test_dropout_differs_between_seeds(points):
    one = tensors_of(after(points, points.LEARNED).inner)
    other = tensors_of(after(points, attrs.evolve(points.LEARNED, seed=1)).inner)
    assert any(not one[key].equal(other[key]) for key in one)


def test_only_matrices_decay_and_learned_weights_have_their_own_rate(points):
    recipe = attrs.evolve(points.LEARNED, optimizer=SGD(lr=0.1, weight_decay=0.2))
    made = points.updater(recipe)
    names = {p: name for name, p in made.inner.named_parameters()}
    groups = parameter_groups(made.inner, recipe.optimizer, weighting_rate=0.003)
    matrices, vectors, learned = groups
    assert [(g["lr"], g["weight_decay"]) for g in groups] == [(0.1, 0.2), (0.1, 0.0), (0.003, 0.0)]
    assert all(p.dim() > 1 for p in matrices["params"])
    assert all(p.dim() <= 1 for p in vectors["params"])
    assert {names[p].split(".")[0] for p in learned["params"]} == {"weighting"}
    assert sum(len(g["params"]) for g in groups) == len(names)  # each parameter once
    assert parameter_groups(made.inner, recipe.optimizer)[2]["lr"] == 0.1


def test_the_schedule_moves_every_group_from_its_own_rate(points):
    recipe = attrs.evolve(
        points.PLAIN, weighting=Dynamic(learning_rate=0.01), schedule=Cosine(warmup_steps=2)
    )
    made = points.updater(recipe)
    steps = made.steps
    assert steps == 12  # 50 samples are 4 updates of at most 16, over 3 epochs
    for step in range(3):
        made.update(step)
        rates = [group["lr"] for group in made.optimizer.param_groups]
        factor = Cosine(warmup_steps=2).at(step, steps)
        assert rates == pytest.approx([0.05 * factor, 0.05 * factor, 0.01 * factor])


def test_clipping_bounds_the_norm_of_the_gradient(points):
    made = points.updater(with_train(points.PLAIN, clip_norm=1e-3))
    made.update(0)
    norm = torch.stack([p.grad.norm() for p in made.inner.parameters()]).norm()
    assert norm <= 1e-3 * (1 + 1e-5)


def test_a_loss_that_is_not_finite_stops_before_the_update(points):
    made = points.updater(attrs.evolve(points.PLAIN, data=points.Points(broken=3)))
    where = next(s for s in range(4) if 3 in made.batches.update(s).whole)
    for step in range(where):
        made.update(step)
    before = {k: v.clone() for k, v in tensors_of(made.inner).items()}
    with pytest.raises(NotFiniteError) as caught:
        made.update(where)
    error = caught.value
    assert (error.step, error.tasks, error.ids) == (where + 1, ("who", "side", "age"), ("point3",))
    assert (
        f"step {where + 1}: the loss of who, side, age is not finite for the samples point3"
        in str(error)
    )
    assert all(v.equal(before[k]) for k, v in tensors_of(made.inner).items())


def test_a_term_s_weight_that_is_not_finite_names_the_term(points, monkeypatch):
    weights = torch.tensor([1.0, torch.nan, 1.0, 1.0])
    monkeypatch.setattr(points.ByNormWeights, "forward", lambda *_: weights)
    made = points.updater(attrs.evolve(points.PLAIN, weighting=points.ByNorm()))
    with pytest.raises(NotFiniteError) as caught:
        made.update(0)
    assert caught.value.tasks == ("side",)
    assert caught.value.ids == ()  # no sample is to blame: the losses are finite
    assert "ByNormWeights returned weights for side that are not finite" in str(caught.value)


def test_a_gradient_that_is_not_finite_is_blamed_on_its_own_update(points):
    made = points.updater(points.PLAIN)
    made.update(0)
    name, parameter = next(iter(made.inner.named_parameters()))
    handle = parameter.register_hook(lambda gradient: gradient * torch.nan)
    made.update(1)  # the second: its losses are finite, its gradient is not
    handle.remove()
    with pytest.raises(NotFiniteError) as caught:
        made.update(2)
    error = caught.value
    assert str(error).startswith(f"step 2: the update of step 2 broke the weights {name}: ")
    assert (error.step, error.tasks, error.ids) == (2, (), ())


def test_weights_that_are_not_finite_from_the_start_are_said_to_be(points):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=Uncertainty()))
    with torch.no_grad():
        made.inner.weighting.log_variance[1] = torch.nan
    with pytest.raises(NotFiniteError, match=r"weighting\.log_variance were not finite before the"):
        made.update(0)


@pytest.mark.parametrize("weighting", [Equal(), Dynamic(gate_main=True)])
def test_a_step_makes_no_tensor_from_numbers_which_a_gpu_would_be_sent(
    points, monkeypatch, weighting
):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=weighting))
    made.update(0)
    assert not any("places" in name for name in made.inner.state_dict())

    def refused(*_, **__):
        raise AssertionError("torch.tensor in a step")

    monkeypatch.setattr(torch, "tensor", refused)
    assert not made.update(1, StopRequest()).stop


def test_what_goes_to_a_gpu_is_pinned_first():
    did = []

    class Values:
        def pin_memory(self):
            did.append("pinned")
            return self

        def to(self, device, *, non_blocking):
            did.append((device.type, non_blocking))

    to_device(Values(), torch.device("cuda", 0))
    to_device(Values(), torch.device("cpu"))
    assert did == ["pinned", ("cuda", True)]  # what is on the CPU stays


def test_parameters_that_no_loss_reaches_are_named(points):
    made = points.updater(points.PLAIN)
    made.inner.model.register_parameter("idle", nn.Parameter(torch.zeros(2)))
    made.update(0)
    assert made.untrained == ("model.idle",)
    frozen = points.updater(points.PLAIN)
    frozen.inner.model.head("age").requires_grad_(False)
    frozen.update(0)
    assert frozen.untrained == ()  # frozen on purpose


@pytest.mark.parametrize("router", ["shared", "grouped"])
def test_a_stop_wish_comes_back_after_the_update(points, router):
    recipe = points.PLAIN
    if router == "grouped":
        recipe = attrs.evolve(recipe, router=points.GROUPED)
    made = points.updater(recipe)
    stop_request = StopRequest()
    assert not made.update(0, stop_request).stop
    stop_request.requested = True
    assert made.update(1, stop_request).stop
    assert made.update(2).samples == 12


def test_the_gradients_of_a_logged_step_are_those_at_the_shared_features(points):
    made = points.updater(with_train(points.PLAIN, batch=50, log_every=2))
    made.update(0)
    assert made.meter.gradients() == ({}, {})  # a step that is not logged costs nothing
    context, model = made.context, made.inner.model
    index = made.batches.update(1).whole
    targets = {task: target[index] for task, target in context.targets["train"].items()}
    features = model.features(context.data.train.inputs[index])
    losses = model.losses_at(features, targets, model.counts(targets)).mean
    rows = torch.stack(
        [torch.autograd.grad(x, features.shared, retain_graph=True)[0].flatten() for x in losses]
    )
    made.update(1)
    lengths, cosines = made.meter.gradients()
    assert list(lengths.values()) == pytest.approx(rows.norm(dim=1).tolist(), rel=1e-4)
    wanted = torch.cosine_similarity(rows[0], rows[3], dim=0).item()
    assert cosines["who, age"] == pytest.approx(wanted, abs=1e-5)
    assert len(cosines) == 6


def test_gradients_are_not_looked_at_where_nobody_wants_it(points):
    made = points.updater(with_train(points.PLAIN, log_every=1, watch=False))
    made.update(0)
    assert made.meter.gradients() == ({}, {})


def test_weights_of_complete_labels_are_those_of_the_model(points):
    """Updates in which every sample has all labels share their weights, counts and indices."""
    made = points.updater(points.PLAIN)
    reader, batch = made.backward.labels, made.batches.update(0)
    assert not reader._all_one  # some labels are missing
    general = reader.read(batch)
    reader._weights = torch.ones_like(reader._weights)
    expected = reader.read(batch)
    reader._all_one = True
    shared = reader.read(batch)
    assert shared.weights[0].equal(expected.weights[0])
    assert shared.counts.equal(expected.counts)
    assert shared.counts is reader.read(batch).counts
    assert not general.counts.equal(shared.counts)
    for task, target in general.targets[0].items():
        torch.testing.assert_close(target, shared.targets[0][task], equal_nan=True)
