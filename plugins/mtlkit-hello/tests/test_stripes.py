"""The data source `stripes`, and a recipe that trains on it."""

from pathlib import Path

from mtlkit import load_catalog, load_recipe
from mtlkit_hello.stripes import draw_stripes


def test_a_stripe_is_as_wide_as_its_label():
    image = draw_stripes(64, 0, 4.0, 0.2)[0, :, 0].float() - 127.5  # stripes across
    changes = (image[1:].sign() != image[:-1].sign()).nonzero().flatten()
    assert set((changes[1:] - changes[:-1]).tolist()) == {4}


def test_the_recipe_reads():
    package = Path(__file__).parents[1] / "mtlkit_hello"
    recipe = load_recipe(package / "recipes" / "first.yaml", load_catalog())
    assert list(recipe.tasks) == ["direction", "width"]
