"""A session of a run: one uninterrupted part of it."""

from pathlib import Path

import attrs
import torch

from mtlkit.data.source import Loading
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.observers import Observers
from mtlkit.plugins.run_events import RunInfo
from mtlkit.recipe import Recipe
from mtlkit.runs.storage.folder import RunFolder
from mtlkit.training.devices.ranks import Ranks


@attrs.frozen(eq=False)
class RunSession:
    """One uninterrupted part of a run: its folder, recipe, device, processes and observers."""

    folder: RunFolder
    recipe: Recipe
    loading: Loading
    device: torch.device
    ranks: Ranks
    beside: tuple[Path, ...]
    report: bool  # whether to draw one at the end
    catalog: Catalog
    accept: tuple[str, ...] = ()  # kinds of changes since the start of the run
    observers: Observers = attrs.field(init=False)

    @observers.default
    def _first_ranks_observers(self) -> Observers:
        if not self.ranks.first:
            return Observers()
        run = RunInfo(folder=self.folder.path, recipe=self.recipe, device=str(self.device))
        return Observers(self.catalog.manager, run)
