"""The data of a run: its source's data, transformed, without splits that it must not use."""

import attrs

from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.errors import DataError
from mtlkit.features.inputs import InputSpec
from mtlkit.features.pretrained import PretrainedImages
from mtlkit.recipe import Recipe
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.progress import Progress
from mtlkit.transforms.view import transformed_data


def load_data(recipe: Recipe, loading: Loading) -> Data:
    """Load the data of `recipe`, after ``transforms.test``.

    The test split is left out if `train.test` is off.

    A run that only chooses settings then cannot use the test split in any evaluation. Raises
    `DataError` if a split is empty.
    """
    recipe = with_stated_preprocessing(recipe)
    data = recipe.data.load(loading)
    for name, split in data.splits().items():
        if len(split) == 0:
            raise DataError(
                f"the {name} split is empty; add samples to it, or leave the split out of the data"
            )
    images = recipe.backbone.pretrained_images()
    data = data if images is None else with_pretrained(data, images)
    data = data if recipe.train.test else attrs.evolve(data, test=None)
    labels = (task.target or name for name, task in recipe.tasks.items())
    return transformed_data(data, recipe.transforms.test, labels)


def with_stated_preprocessing(recipe: Recipe) -> Recipe:
    """Return `recipe` with the preprocessing of pretrained weights in the options of its data."""
    images = recipe.backbone.pretrained_images()
    if images is None:
        return recipe
    return attrs.evolve(recipe, data=recipe.data.for_pretrained(images))


def with_pretrained(data: Data, images: PretrainedImages) -> Data:
    """Return `data` of 8-bit images normalized as in `images`, unless it states its own."""
    if data.mean is not None or data.std is not None or data.inputs is not None:
        return data
    spec = data.input_specs
    if not isinstance(spec, InputSpec) or not spec.is_image or spec.dtype != "uint8":
        return data
    images = images.per_channel(spec.shape[0])
    return attrs.evolve(data, mean=images.mean, std=images.std)


def load_on_ranks(recipe: Recipe, loading: Loading, ranks: Ranks, progress: Progress) -> Data:
    """Load the data of `recipe` on the first rank before the others, which then read its cache."""
    if loading.progress == Loading().progress:
        loading = attrs.evolve(loading, progress=progress.loading)
    if ranks.first:
        data = load_data(recipe, loading)
    ranks.wait()
    return data if ranks.first else load_data(recipe, loading)
