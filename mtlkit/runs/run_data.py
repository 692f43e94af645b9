"""The data of a run: its source's data, transformed, without splits that it must not use."""

import attrs

from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.recipe import Recipe
from mtlkit.transforms.view import transformed_data


def load_data(recipe: Recipe, loading: Loading) -> Data:
    """Load the data of `recipe`, after ``transforms.test``.

    The test split is left out if `train.test` is off.

    A run that only chooses settings then cannot use the test split in any evaluation.
    """
    data = recipe.data.load(loading)
    data = data if recipe.train.test else attrs.evolve(data, test=None)
    labels = (task.target or name for name, task in recipe.tasks.items())
    return transformed_data(data, recipe.transforms.test, labels)
