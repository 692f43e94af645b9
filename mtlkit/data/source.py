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
    """Settings for loading data, which never change the loaded data."""

    cache: Path | None = None  # folder for rendered or converted data; None: no cache
    workers: int | None = None  # processes; None: one for each core
    progress: Callable[[str, int, int], None] = _silent  # (label, items done, total items)
    base: Path = attrs.field(factory=Path)  # base folder of relative paths


@attrs.frozen(kw_only=True)
class DataSource(Component):
    """A source of labeled samples in splits."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Labels that the options declare, which ``*`` in `tasks` selects; empty if unknown."""
        return ()

    @abstractmethod
    def load(self, loading: Loading) -> "Data":
        """Load the samples and labels; raise `DataError` if any of them is unavailable."""
