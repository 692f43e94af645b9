"""Base classes of loggers."""

from abc import ABC, abstractmethod
from pathlib import Path

import attrs

from mtlkit.component import Component
from mtlkit.loggers.events import Event


class LogWriter(ABC):
    """An open log; resuming a run truncates it to the step of the checkpoint."""

    @abstractmethod
    def write(self, event: Event) -> None:
        """Write one event."""

    @abstractmethod
    def flush(self) -> None:
        """Write all buffered events to disk; called before each checkpoint."""

    @abstractmethod
    def close(self) -> None:
        """Flush and release the resources."""


@attrs.frozen(kw_only=True)
class Logger(Component):
    """Options of a logger, which writes the events of a run."""

    @abstractmethod
    def open(self, folder: Path, step: int) -> LogWriter:
        """Open the log in the run's `folder`, without events after `step`."""
