"""The data of a run: what its source gives, but for what the run must not see."""

import attrs

from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.recipe import Recipe


def load_data(recipe: Recipe, loading: Loading) -> Data:
    """The data of `recipe`, without the test split where `train.test` is off.

    So a run that only chooses settings cannot look at it, whoever evaluates the run and when.
    """
    data = recipe.data.load(loading)
    return data if recipe.train.test else attrs.evolve(data, test=None)
