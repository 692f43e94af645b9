"""The numbers of this plugin, held to their formulas."""

from pathlib import Path

import pytest
import torch

from mtlkit import load_catalog, load_recipe
from mtlkit.ops import linear_cross_entropy
from mtlkit.plugins import AssemblyError, LossTerm, Role, TaskKind
from mtlkit_hello.adapters_router import Adapter
from mtlkit_hello.cosine import Cosine
from mtlkit_hello.discount import Discount
from mtlkit_hello.draw_stripes import _image
from mtlkit_hello.small_conv import SmallConv
from mtlkit_hello.within import Within


def test_small_conv_has_twice_its_channels():
    trunk = SmallConv(channels=3).build((1, 16, 16))
    assert trunk(torch.zeros(2, 1, 16, 16)).shape == (2, 6)
    with pytest.raises(AssemblyError, match="for tables use `backbone: mlp`"):
        SmallConv().build((10,))


def test_cosine_is_the_scaled_cosine():
    head = Cosine(scale=2.0).build(3, ("a", "b"))
    features = torch.tensor([[1.0, 2.0, 2.0]])
    logits = head(features)[0].tolist()
    for logit, direction in zip(logits, head.directions, strict=True):
        wanted = 2.0 * (features[0] @ direction) / (3.0 * direction.norm())
        assert logit == pytest.approx(wanted.item(), abs=1e-5)


def test_within_counts_hits_at_the_tolerance():
    state = Within(tolerance=2.0).build(())
    state.update(torch.tensor([1.0, 5.0, 9.0]), torch.tensor([3.0, 2.0, torch.nan]))
    assert state.compute() == 0.5
    assert Within(tolerance=2.0).name == "within-2"


def test_discount_halves_the_weight_from_side_task_to_side_task():
    roles = [Role.SIDE, Role.MAIN, Role.SIDE, Role.SIDE]
    terms = tuple(LossTerm(str(n), str(n), r, TaskKind.REGRESSION) for n, r in enumerate(roles))
    weights = Discount(rate=0.5).build(terms, features=1).weights
    assert torch.equal(weights, torch.tensor([0.5, 1.0, 0.25, 0.125]))
    assert Discount(rate=0.0).weights(terms) == pytest.approx([0.0, 1.0, 0.0, 0.0])


def test_an_adapter_that_says_nothing_changes_nothing():
    adapter = Adapter(3, 2)
    torch.nn.init.zeros_(adapter[2].weight)
    torch.nn.init.zeros_(adapter[2].bias)
    assert torch.equal(adapter(torch.ones(1, 3)), torch.zeros(1, 3))


def test_the_cross_entropy_by_rows_is_that_of_torch():
    by_rows = load_catalog().implementations.get("hello/by-rows")
    x, weight, target = torch.randn(300, 4), torch.randn(7, 4), torch.randint(7, (300,))
    loss = linear_cross_entropy(x, weight, target, implementation=by_rows)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(x @ weight.T, target))


def test_a_stripe_is_as_wide_as_its_label_says():
    image = _image(64, 0, 4.0, 0.2)[0, :, 0].float() - 127.5  # stripes across
    changes = (image[1:].sign() != image[:-1].sign()).nonzero().flatten()
    assert set((changes[1:] - changes[:-1]).tolist()) == {4}


def test_the_recipe_reads():
    package = Path(__file__).parents[1] / "mtlkit_hello"
    recipe = load_recipe(package / "recipes" / "first.yaml", load_catalog())
    assert list(recipe.tasks) == ["direction", "width"]
