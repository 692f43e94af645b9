"""The data of a run: its source's data, transformed, without splits that it must not use."""

import os
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import torch

from mtlkit.data.dataset import Data
from mtlkit.data.memory_limit import memory_limit
from mtlkit.data.source import Loading
from mtlkit.data.transformed import transformed_data
from mtlkit.errors import DataError
from mtlkit.features.inputs import InputSpec
from mtlkit.features.pretrained import PretrainedImages
from mtlkit.recipe import Recipe
from mtlkit.training.devices.cores import available_cores
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.progress import Progress


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


def load_on_ranks(
    recipe: Recipe, loading: Loading, ranks: Ranks, device: torch.device, progress: Progress
) -> Data:
    """Load the data of `recipe` on each rank.

    The first rank of all loads it before the others, which then read its cache. The first rank of
    each machine decodes images, which the others share with it.
    """
    if loading.progress == Loading().progress:
        loading = attrs.evolve(loading, progress=progress.loading)
    if ranks.world == 1:
        return load_data(recipe, _with_workers(recipe, loading, 1))
    hosts = ranks.texts(socket.gethostname(), device)
    local = [rank for rank, host in enumerate(hosts) if host == hosts[ranks.rank]]
    loading = _with_workers(recipe, loading, len(local))
    leads = ranks.rank == local[0]
    with ExitStack() as stack:
        folder = stack.enter_context(shared_folder()) if leads else ""
        shared = Path(ranks.texts(folder, device)[local[0]])
        loading = attrs.evolve(loading, shared=shared)
        turn = 0 if ranks.first else 1 if leads else 2
        for number in range(3):
            if number == turn:
                data = load_data(recipe, loading)
            ranks.wait()
    return data


def _with_workers(recipe: Recipe, loading: Loading, processes: int) -> Loading:
    """Return `loading` with the threads of each of the `processes` on a machine."""
    stated = recipe.train.workers
    if loading.workers is not None or stated == 0:
        return loading
    workers = stated if isinstance(stated, int) else max(1, available_cores() // processes)
    return attrs.evolve(loading, workers=workers)


def shared_folder() -> TemporaryDirectory[str]:
    """Return a new temporary folder, in memory if there is room."""
    memory = Path("/dev/shm")
    fits = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= memory_limit("auto")
    return TemporaryDirectory(prefix="mtlkit-", dir=memory if fits else None)
