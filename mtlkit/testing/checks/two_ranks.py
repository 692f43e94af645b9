"""The function of each of two processes: train weightings for a few updates."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import attrs
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from mtlkit.testing.checks.weightings import UPDATES, run_updates
from mtlkit.testing.small_data import small_recipe, small_updater
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices.ranks import Ranks
from mtlkit.weightings.base import Weighting

PATIENCE = timedelta(seconds=20)
"""Timeout of collective operations, for when the other process has failed."""


def train_all(values: Mapping[str, Weighting], folder: Path, rank: int) -> None:
    """Write a file for each weighting to `folder`: its state, or the error that it raised.

    Each has a separate process group, so that a failing one does not block the next.
    """
    torch.set_num_threads(1)
    for number, value in enumerate(values.values()):
        store = (folder / f"store.{number}").resolve()
        dist.init_process_group(
            "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=PATIENCE
        )
        try:
            _train(value, rank, folder / f"{number}.{rank}")
        finally:
            dist.destroy_process_group()


def _train(value: Weighting, rank: int, path: Path) -> None:
    try:
        recipe = attrs.evolve(small_recipe(), weighting=value)
        updater = run_updates(small_updater(recipe, Ranks(rank, 2)), range(UPDATES))
        save_file(tensors_of(updater.inner), path)
    except Exception as error:  # report any error of the component
        text = f"{type(error).__name__}: {error}"
        path.with_suffix(f"{path.suffix}.error").write_text(text, encoding="utf-8")
