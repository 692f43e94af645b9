"""Every router trains on every kind of features, or is refused when the recipe is read."""

import attrs
import pytest
import torch

from mtlkit.plugins.catalog import load_catalog
from mtlkit.routers import MTAN, DSelectK, Grouped
from mtlkit.testing import small_recipe
from mtlkit.testing.checks.routers import with_kind
from mtlkit.testing.checks.weightings import run_updates
from mtlkit.testing.small_data import small_model, small_targets, small_updater
from mtlkit.testing.small_features import KINDS, SPECS
from mtlkit.weightings import Dynamic, HarderFirst

ROUTERS = load_catalog("none").routers
MADE = {
    "grouped": Grouped(task="kind", by="side", groups={"l": ("left",), "r": ("right",)}),
    "mtan": MTAN(maps=False),
}
REFUSED = {("grouped", kind) for kind in KINDS if kind != "vectors"} | {
    (name, "pyramids") for name in ROUTERS.names() if name not in ("shared", "cross-stitch")
}


def recipe_of(name, kind):
    router = MADE.get(name) or ROUTERS.get(name)()
    return with_kind(attrs.evolve(small_recipe(), router=router), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ROUTERS.names())
def test_it_trains_with_finite_gradients_or_is_refused_when_read(name, kind):
    recipe = recipe_of(name, kind)
    problems = [str(problem) for problem in recipe.problems()]
    if (name, kind) in REFUSED:
        assert len(problems) == 1
        assert problems[0].startswith(f"router: got {kind} ")
        return
    assert problems == []
    updater = small_updater(recipe)
    gradients = {}
    step = updater.optimizer.step

    def recorded(*arguments):
        gradients.update((n, p.grad) for n, p in updater.inner.named_parameters())
        return step(*arguments)

    updater.optimizer.step = recorded
    run_updates(updater, range(1))
    assert gradients
    for parameter, gradient in gradients.items():
        assert gradient is not None, parameter
        assert gradient.isfinite().all(), parameter


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "weighting", [Dynamic(), Dynamic(form="released"), HarderFirst()], ids=repr
)
def test_gates_read_pooled_features(weighting, kind):
    recipe = attrs.evolve(with_kind(small_recipe(), kind), weighting=weighting)
    assert recipe.problems() == []
    updater = run_updates(small_updater(recipe), range(2))
    [gate, *_] = [
        m for n, m in updater.inner.named_modules() if n.endswith("linear") and "gate" in n
    ]
    assert gate.in_features == SPECS[KINDS[kind]].width
    assert gate.weight.isfinite().all()
    assert (gate.weight != 0).any()


@pytest.mark.parametrize("name", ["mmoe", "cgc", "ple", "dselect-k", "learn-to-branch", "mtan"])
def test_a_router_of_maps_is_that_of_vectors_at_each_pixel(name):
    torch.manual_seed(0)
    maps, _ = small_model(recipe_of(name, "maps"))
    vectors, _ = small_model(recipe_of(name, "vectors"))
    vectors.router.load_state_dict(maps.router.state_dict())
    for model in (maps, vectors):
        model.eval()
    features = torch.randn(2, 8, 3, 5)
    at_maps = maps.router.own_features(features, None)
    rows = features.permute(0, 2, 3, 1).reshape(-1, 8)
    at_rows = vectors.router.own_features(rows, None)
    for task, values in at_maps.items():
        expected = at_rows[task].reshape(2, 3, 5, 8).permute(0, 3, 1, 2)
        torch.testing.assert_close(values, expected)


def test_a_selection_without_samples_is_the_same_at_every_position():
    model, _ = small_model(
        with_kind(attrs.evolve(small_recipe(), router=DSelectK(per_sample=False)), "tokens")
    )
    assert model.router.weights(torch.randn(3, 4, 8)).shape == (1, 1, 4, 4)


def test_the_small_backbone_has_every_kind():
    for kind in KINDS:
        model, data = small_model(with_kind(small_recipe(), kind))
        targets = small_targets(model, with_kind(small_recipe(), kind), data)
        assert set(targets) == {"kind", "side", "rare", "size"}
