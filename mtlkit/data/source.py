"""The family of data sources."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtlkit.component import Component

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data


def _silent(_label: str, _done: int, _total: int) -> None:
    """Report nothing."""


@attrs.frozen(kw_only=True)
class Loading:
    """The circumstances under which data is loaded; they never change what is loaded."""

    cache: Path | None = None  # where rendered or converted data may be kept; None: nowhere
    workers: int | None = None  # processes; None: one for each core
    progress: Callable[[str, int, int], None] = _silent  # (what is done, items done, items in all)
    base: Path = attrs.field(factory=Path)  # the folder that relative paths of a recipe start from


@attrs.frozen(kw_only=True)
class DataSource(Component):
    """Where labelled samples come from, and how they are divided into splits."""

    @abstractmethod
    def load(self, loading: Loading) -> "Data":
        """The samples and labels; `DataError` where they cannot be had whole."""
