"""Base classes of loggers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import attrs

from mtlkit.component import Component
from mtlkit.loggers.events import Event


class WantedPictures(Enum):
    """Pictures of a report for a logger. Images may show the data, so that none is sent unasked."""

    NONE = "none"
    FIGURES = "figures"  # charts
    ALL = "all"  # charts and images


class LogWriter(ABC):
    """An open log; resuming a run truncates it to the step of the checkpoint."""

    @abstractmethod
    def write(self, event: Event) -> None:
        """Write one event."""

    @abstractmethod
    def flush(self) -> None:
        """Write all buffered events to disk; called before each checkpoint."""

    def state(self) -> Mapping[str, tuple[int, str]]:
        """Return the size in bytes and the checksum of each file that only grows, by name.

        A checkpoint stores it after `flush`, and a resumed run refuses a log that has lost a part.
        The default has none.
        """
        return {}

    @abstractmethod
    def close(self) -> None:
        """Flush and release the resources."""


@attrs.frozen(kw_only=True)
class Logger(Component):
    """Options of a logger, which writes the events of a run."""

    @property
    def pictures(self) -> WantedPictures:
        """Pictures of the report that it gets at the end of a run, as a `PictureEvent`."""
        return WantedPictures.NONE

    @abstractmethod
    def open(self, folder: Path, step: int) -> LogWriter:
        """Open the log in the run's `folder`, without events after `step`."""


@attrs.frozen(kw_only=True)
class PictureLogger(Logger):
    """Options of a logger that can hold pictures.

    `figures` adds the charts of the report at the end, `images` its pictures too.
    """

    figures: bool = False
    images: bool = False

    @property
    def pictures(self) -> WantedPictures:
        if self.images:
            return WantedPictures.ALL
        return WantedPictures.FIGURES if self.figures else WantedPictures.NONE
