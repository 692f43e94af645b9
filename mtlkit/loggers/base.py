"""The family of loggers, and the built-in ones."""

from abc import ABC, abstractmethod
from pathlib import Path

import attrs

from mtlkit.component import Component
from mtlkit.loggers.events import Event


class LogWriter(ABC):
    """An open log. A run that is resumed truncates it to the step of its checkpoint."""

    @abstractmethod
    def write(self, event: Event) -> None:
        """Take one event."""

    @abstractmethod
    def flush(self) -> None:
        """Put everything written so far on disk; called before each checkpoint."""

    @abstractmethod
    def close(self) -> None:
        """Flush and let go."""


@attrs.frozen(kw_only=True)
class Logger(Component):
    """Where the events of a run go."""

    @abstractmethod
    def open(self, folder: Path, step: int) -> LogWriter:
        """The log in the run's `folder`, without anything written after `step`."""
