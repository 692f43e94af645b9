"""What each of two processes does: it trains weightings a few updates, with its partner."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import attrs
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from mtlkit.testing.weightings import UPDATES, made
from mtlkit.testing.world import small_recipe, small_updater
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.ranks import Ranks
from mtlkit.weightings.base import Weighting

PATIENCE = timedelta(seconds=20)
"""How long one process waits for the other, which may have failed."""


def train_all(values: Mapping[str, Weighting], folder: Path, rank: int) -> None:
    """Leave in `folder` a file for each weighting: its state, or the error it raised.

    A group of its own is made for each, so that one that breaks does not block the next.
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
        updater = made(small_updater(recipe, Ranks(rank, 2)), range(UPDATES))
        save_file(tensors_of(updater.inner), path)
    except Exception as error:  # a component under test: what it raises is the answer
        text = f"{type(error).__name__}: {error}"
        path.with_suffix(f"{path.suffix}.error").write_text(text, encoding="utf-8")
