"""The inputs of a training run."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import attrs
import torch

from mtlkit.data.dataset import Data
from mtlkit.plugins.observers import Observers
from mtlkit.recipe import Recipe
from mtlkit.targets.rows import Rows
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.progress import Progress, Silence


@attrs.frozen(eq=False, kw_only=True)
class TrainingContext:
    """Everything a training run needs: recipe, data, device, process group, output folders."""

    recipe: Recipe
    data: Data
    targets: Mapping[str, Mapping[str, Rows]]  # by split and task, (N, ...)
    folder: Path = Path()  # of the logs
    checkpoints: Path = Path()
    device: torch.device
    ranks: Ranks = attrs.field(factory=Ranks)
    progress: Progress = attrs.field(factory=Silence)
    observers: Observers = attrs.field(factory=Observers)  # on the first rank those of plugins

    def autocast(self) -> AbstractContextManager[object]:
        """Return the autocast context of forward passes, after `train.precision`."""
        dtype = self.recipe.train.half
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype=dtype)
