"""The data of a run: its source's data, transformed, without splits that it must not use."""

import attrs

from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.errors import DataError
from mtlkit.recipe import Recipe
from mtlkit.training.progress import Progress
from mtlkit.training.ranks import Ranks
from mtlkit.transforms.view import transformed_data


def load_data(recipe: Recipe, loading: Loading) -> Data:
    """Load the data of `recipe`, after ``transforms.test``.

    The test split is left out if `train.test` is off.

    A run that only chooses settings then cannot use the test split in any evaluation. Raises
    `DataError` if a split is empty.
    """
    data = recipe.data.load(loading)
    for name, split in data.splits().items():
        if len(split) == 0:
            raise DataError(
                f"the {name} split is empty; add samples to it, or leave the split out of the data"
            )
    data = data if recipe.train.test else attrs.evolve(data, test=None)
    labels = (task.target or name for name, task in recipe.tasks.items())
    return transformed_data(data, recipe.transforms.test, labels)


def load_on_ranks(recipe: Recipe, loading: Loading, ranks: Ranks, progress: Progress) -> Data:
    """Load the data of `recipe` on the first rank before the others, which then read its cache."""
    if loading.progress == Loading().progress:
        loading = attrs.evolve(loading, progress=progress.loading)
    if ranks.first:
        data = load_data(recipe, loading)
    ranks.wait()
    return data if ranks.first else load_data(recipe, loading)
