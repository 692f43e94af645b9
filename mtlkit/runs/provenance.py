"""Provenance of a run: components and their owners, versions, platform."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mtlkit.ops.dispatch.choice import environment_choices
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import provenance
from mtlkit.runs.numerics import device_name
from mtlkit.training.cores import available_cores, free_threads

PACKAGES = ("mtlkit", "torch", "torchvision", "timm", "numpy", "safetensors")
"""The packages whose version can change a result."""


def provenance_of(
    recipe: Recipe, catalog: Catalog, base: Path, device: torch.device
) -> Mapping[str, Any]:
    """Return the facts of a run that its recipe lacks; relative paths start at `base`."""
    return {
        "components": provenance(recipe, catalog),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device_name(device),
        "threads": _threads(recipe.train.threads),
        "ops": environment_choices(),
        "base": str(base.resolve()),
    }


def _threads(stated: int | str) -> int:
    """Return the `stated` threads; for ``auto`` one for each free core, at most PyTorch's own."""
    if isinstance(stated, int):
        return stated
    return free_threads(min(torch.get_num_threads(), available_cores()))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a bare checkout on the path
        return "unknown"
