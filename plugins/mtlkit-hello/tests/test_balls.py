"""The data source `balls`, and a recipe that trains on it."""

from pathlib import Path

import torch

from mtlkit import load_catalog, load_recipe
from mtlkit_hello.balls import draw_ball


def test_labels_agree_with_each_other():
    for number in range(8):
        image, parts, depth, traits = draw_ball(16, 0, number)
        ball = parts == 1
        assert (parts[0] == -1).all()
        assert image[0][ball].min() > image[0][parts == 0].max()
        assert (depth[0][ball] < 5).all() == bool(traits[0])
        assert depth[0][~ball].isnan().all() == (number % 4 == 3)
        middle = ball.nonzero()[:, 1].float().mean()
        assert bool(traits[1]) == bool(middle < 7.5) or abs(middle - 7.5) < 1
        assert bool(traits[2]) == bool(image[0][ball].float().mean() > 191)
        assert torch.equal(draw_ball(16, 0, number)[0], image)


def test_the_recipe_reads():
    package = Path(__file__).parents[1] / "mtlkit_hello"
    recipe = load_recipe(package / "recipes" / "maps.yaml", load_catalog())
    assert list(recipe.tasks) == ["parts", "depth", "traits"]
