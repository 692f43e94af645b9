"""Provenance of a run: components and their owners, versions, platform."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mtlkit.checksums import checksum
from mtlkit.ops.dispatch.choice import environment_choices
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe, provenance
from mtlkit.runs.storage.numerics import PACKAGES, device_name, package_version
from mtlkit.training.devices.cores import available_cores, free_threads


def provenance_of(
    recipe: Recipe, catalog: Catalog, base: Path, device: torch.device, ranks: int
) -> Mapping[str, Any]:
    """Return the facts of a run that its recipe lacks; relative paths start at `base`.

    `ranks` is the number of processes.
    """
    threads = recipe.train.threads
    if not isinstance(threads, int):  # one for each free core, at most PyTorch's own
        threads = free_threads(min(torch.get_num_threads(), available_cores()))
    return {
        "recipe": checksum([dump_recipe(recipe, catalog).encode()]),
        "components": provenance(recipe, catalog),
        "versions": {name: package_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device_name(device),
        "ranks": ranks,
        "threads": threads,
        "ops": environment_choices(),
        "base": str(base.resolve()),
    }
