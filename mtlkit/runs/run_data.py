"""The data of a run: its source's data, without the splits that the run must not use."""

import attrs

from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.recipe import Recipe


def load_data(recipe: Recipe, loading: Loading) -> Data:
    """Load the data of `recipe`, without the test split if `train.test` is off.

    A run that only chooses settings then cannot use the test split in any evaluation.
    """
    data = recipe.data.load(loading)
    return data if recipe.train.test else attrs.evolve(data, test=None)
