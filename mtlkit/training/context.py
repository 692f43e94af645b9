"""What training is given."""

from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data.dataset import Data
from mtlkit.plugins.observers import Observers
from mtlkit.recipe import Recipe
from mtlkit.training.progress import Progress
from mtlkit.training.ranks import Ranks


@attrs.frozen(eq=False, kw_only=True)
class TrainingContext:
    """What is trained on what, with whom, and where to it goes."""

    recipe: Recipe
    data: Data
    targets: Mapping[str, Mapping[str, Tensor]]  # by split and task, (N,)
    folder: Path  # of the logs
    checkpoints: Path
    device: torch.device
    ranks: Ranks
    progress: Progress
    observers: Observers = attrs.field(factory=Observers)  # on the first rank those of plugins

    def autocast(self) -> torch.autocast:
        """The arithmetic of forward passes."""
        bf16 = self.recipe.train.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16)
