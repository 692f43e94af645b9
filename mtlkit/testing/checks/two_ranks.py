"""The function of each of two processes: train weightings for a few updates."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import attrs
import torch
import torch.distributed as dist
from safetensors.torch import save

from mtlkit.testing.checks.weightings import UPDATES, run_updates
from mtlkit.testing.small_data import small_recipe, small_updater
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices.ranks import Ranks
from mtlkit.weightings.base import Weighting

PATIENCE = timedelta(seconds=20)
"""Timeout of collective operations, for when the other process has failed."""


def train_all(values: Sequence[Weighting], folder: Path, rank: int) -> list[bytes | str]:
    """Return the state of each weighting after some updates, or the error that it raised.

    Each has a separate process group, so that a failing one does not block the next.
    """
    torch.set_num_threads(1)
    return [_trained(value, folder / f"store.{n}", rank) for n, value in enumerate(values)]


def _trained(value: Weighting, store: Path, rank: int) -> bytes | str:
    dist.init_process_group(
        "gloo", init_method=f"file://{store.resolve()}", rank=rank, world_size=2, timeout=PATIENCE
    )
    try:
        recipe = attrs.evolve(small_recipe(), weighting=value)
        updater = run_updates(small_updater(recipe, Ranks(rank, 2)), range(UPDATES))
        return save(tensors_of(updater.inner))
    except Exception as error:  # report any error of the component
        return f"{type(error).__name__}: {error}"
    finally:
        dist.destroy_process_group()
