"""Every weighting, in everything that training may be combined with."""

import attrs
import pytest
import torch

from mtlkit.errors import NotFiniteError
from mtlkit.plugins.catalog import load_catalog
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.optimization.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.weightings import (
    CRMOGM,
    MGDA,
    LossWeighting,
    MoDo,
    Normalization,
    RequiresPositiveLosses,
)

UPDATES = 4


def recipe_of(points, scheme, **train):
    return attrs.evolve(
        points.PLAIN, weighting=scheme, train=attrs.evolve(points.PLAIN.train, **train)
    )


def is_labeled(target):
    return ~target.isnan() & (target != -1)


def trained(points, recipe, updates=UPDATES, prepare=lambda made: None):
    made = points.updater(recipe)
    prepare(made)
    for step in range(updates):
        made.update(step)
    return made


def logged(made):
    return (*made.meter.gradients(), *made.meter.read())


def assert_same(one, other):
    torch.testing.assert_close(tensors_of(other.inner), tensors_of(one.inner))


def test_there_is_an_example_of_every_weighting(catalog, schemes):
    built_in = {name.split()[0] for name in schemes if "/" not in name}
    assert built_in == set(catalog.weightings.names())


def test_there_is_an_example_of_every_weighting_of_our_plugin(schemes):
    pytest.importorskip("mtlkit_torchjd", reason="the plugin of TorchJD is not installed")
    of_plugin = {name.split()[0] for name in schemes if "/" in name}
    names = load_catalog("torchjd").weightings.names()
    assert of_plugin == {name for name in names if "/" in name}


def test_micro_batches_give_the_update_of_the_whole_batch(points, scheme):
    whole = trained(points, recipe_of(points, scheme, batch=18))
    parts = trained(points, recipe_of(points, scheme, batch=18, accumulate=3))
    assert_same(whole, parts)
    for one, other in zip(logged(whole), logged(parts), strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5)


def test_saved_and_reloaded_the_next_steps_are_the_same(points, scheme):
    recipe = recipe_of(points, scheme)
    first = trained(points, recipe)
    model, weighting = (
        {name: value.clone() for name, value in tensors_of(module).items()}
        for module in (first.inner.model, first.inner.weighting)
    )
    saved = optimizer_state(first.optimizer)
    saved = attrs.evolve(saved, tensors={k: v.clone() for k, v in saved.tensors.items()})
    second = points.updater(recipe)
    second.inner.model.load_state_dict(model)
    second.inner.weighting.load_state_dict(weighting)
    restore_optimizer(second.optimizer, saved)
    for made in (first, second):
        for step in range(UPDATES, UPDATES + 3):
            made.update(step)
    one, other = tensors_of(first.inner), tensors_of(second.inner)
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_16_bits_it_does_nearly_what_it_does_in_fp32(points, scheme, precision):
    start = points.updater(recipe_of(points, scheme))
    before = torch.cat([p.flatten() for p in start.inner.model.parameters()])
    moves = []
    for one in ("fp32", precision):
        made = points.updater(recipe_of(points, scheme, precision=one))
        moved = 0
        while not moved:  # fp16 skips updates until its scale fits
            made.update(0)
            moved = made.meter.updates
        after = torch.cat([p.detach().flatten() for p in made.inner.model.parameters()])
        moves.append(after - before.detach())
    assert torch.cosine_similarity(*moves, dim=0) > 0.98
    assert moves[1].norm() == pytest.approx(moves[0].norm().item(), rel=0.1)


def test_a_frozen_parameter_stays_and_the_others_move(points, scheme):
    recipe = attrs.evolve(recipe_of(points, scheme), backbone=points.MLP(hidden=(8, 8)))
    before = points.updater(recipe).inner.model.state_dict()
    made = points.updater(recipe)
    made.inner.model.router.backbone.layers[1].bias.requires_grad_(False)
    made = points.rebuilt(made)
    for step in range(UPDATES):
        made.update(step)
    after = made.inner.model.state_dict()
    moved = {name for name, value in after.items() if not value.equal(before[name])}
    assert "router.backbone.layers.1.bias" not in moved
    assert {"router.backbone.layers.1.weight", "router.backbone.layers.4.weight"} <= moved


def test_without_a_label_in_the_batch_a_task_takes_no_part(points, scheme):
    made = points.updater(recipe_of(points, scheme, batch=50))
    made.context.targets["train"]["rare"].fill_(-1)
    made = points.rebuilt(made)  # the weights of labels are computed once
    head = [p.clone() for p in made.inner.model.head("rare").parameters()]
    made.update(0)
    assert all(p.isfinite().all() for p in made.inner.state_dict().values())
    decay = 1 - 0.05 * 0.01
    for p, old in zip(made.inner.model.head("rare").parameters(), head, strict=True):
        torch.testing.assert_close(p, old * (decay if p.dim() > 1 else 1))
    _, weights = made.meter.read()
    if not isinstance(made.inner.weighting, LossWeighting):
        assert weights["rare"] == 0
    assert weights["who"] > 0 or weights["side"] > 0 or weights["age"] > 0


def test_a_loss_that_is_not_finite_is_named_and_nothing_is_updated(points, scheme):
    made = points.updater(recipe_of(points, scheme, batch=50))
    made.context.targets["train"]["age"][3] = torch.inf
    before = {name: value.clone() for name, value in tensors_of(made.inner.model).items()}
    with pytest.raises(NotFiniteError, match=r"the loss of age is not finite .* point3") as raised:
        made.update(0)
    assert list(raised.value.tasks) == ["age"]
    assert all(v.equal(before[k]) for k, v in tensors_of(made.inner.model).items())


def test_with_a_compiled_backbone_it_does_the_same(points, scheme, monkeypatch):
    compile_ = torch.nn.Module.compile
    # the graphs are what is tested; machine code takes long to make
    monkeypatch.setattr(torch.nn.Module, "compile", lambda m: compile_(m, backend="aot_eager"))
    plain = trained(points, recipe_of(points, scheme), updates=2)
    compiled = trained(points, recipe_of(points, scheme, compile=True), updates=2)
    assert_same(plain, compiled)


def test_with_activation_checkpointing_it_does_the_same(points, scheme):
    backbone = points.CasiaNet(width=0.05, dropout=0.4)
    runs = [
        trained(
            points,
            attrs.evolve(recipe_of(points, scheme, checkpoint_activations=on), backbone=backbone),
            updates=2,
        )
        for on in (False, True)
    ]
    one, other = (tensors_of(made.inner) for made in runs)
    assert all(value.equal(other[name]) for name, value in one.items())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_statistics_of_batch_norm_see_no_rehearsal(points, scheme, accumulate):
    recipe = attrs.evolve(
        recipe_of(points, scheme, batch=24, accumulate=accumulate),
        backbone=points.CasiaNet(width=0.05, dropout=0.4),
    )
    made = trained(points, recipe, updates=1)
    counts = [b for name, b in made.inner.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts
    assert all(count == accumulate for count in counts)


def test_a_negative_loss_is_named_with_the_scheme_that_cannot_take_it(points, scheme):
    made = points.updater(recipe_of(points, scheme, batch=50))
    head = made.inner.model.head("age")
    inner = head.loss
    head.loss = lambda features, target: inner(features, target) - 5 * is_labeled(target)
    weighting = made.inner.weighting
    if not isinstance(weighting, RequiresPositiveLosses):
        made.update(0)
        return
    with pytest.raises(NotFiniteError, match="the loss of age is below zero") as raised:
        made.update(0)
    assert f"{type(weighting).__name__} divides by losses" in str(raised.value)
    assert "such as `equal` or `mgda`" in str(raised.value)
    assert list(raised.value.tasks) == ["age"]


@pytest.mark.parametrize("normalize", ["loss", "loss-and-norm"])
def test_a_negative_loss_is_named_by_mgda_of_losses_and_through_a_mean_of_weights(
    points, normalize
):
    inner = MGDA(normalize=Normalization(normalize))
    for scheme in (inner, CRMOGM(of=inner)):
        made = points.updater(recipe_of(points, scheme, batch=50))
        head = made.inner.model.head("age")
        loss = head.loss
        head.loss = lambda x, y, loss=loss, head=head: loss(x, y) - 5 * is_labeled(y)
        with pytest.raises(NotFiniteError, match=r"MGDAOfLosses divides by losses .* age is below"):
            made.update(0)


def test_in_bf16_products_of_gradients_are_not(points):
    """A Gramian decided inside autocast is that decided outside, which micro-batches need."""
    found = []
    for accumulate in (1, 2):
        recipe = recipe_of(points, MGDA(), precision="bf16", batch=50, accumulate=accumulate)
        made = points.updater(recipe)
        made.update(0)
        found.append(made.meter.gramian)
    assert not found[0].bfloat16().double().equal(found[0])
    torch.testing.assert_close(*found, rtol=2e-2, atol=1e-6)


def test_draws_have_a_chance_of_their_own(points):
    recipe = attrs.evolve(
        recipe_of(points, MoDo(), batch=48), backbone=points.CasiaNet(width=0.05, dropout=0.5)
    )
    made = points.updater(recipe)
    masks = []
    dropout = made.inner.model.router.backbone.last_block.dropout
    dropout.register_forward_hook(lambda module, _, out: masks.append(out == 0))
    made.update(0)
    assert len(masks) == 3
    assert not masks[0].equal(masks[1])
    assert not masks[1].equal(masks[2])
