"""The interface for progress reports of a run."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class TrainingProgress:
    """Progress of training, with the last logged mean loss and weight of each term."""

    step: int
    steps: int
    epoch: int  # from 1
    epochs: int
    steps_per_epoch: int
    samples_per_second: float
    seconds_left: float
    losses: Mapping[str, float]
    weights: Mapping[str, float]


class Progress(ABC):
    """Receive the progress of a run; never change the run."""

    @abstractmethod
    def loading(self, label: str, done: int, total: int) -> None:
        """Report that `done` of `total` items named `label` are loaded."""

    @abstractmethod
    def trained(self, progress: TrainingProgress) -> None:
        """Report an update; called after every one, so it must return at once."""

    @abstractmethod
    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        """Report the metrics of the validation split."""

    @abstractmethod
    def write(self, line: str) -> None:
        """Print a message."""

    @abstractmethod
    def close(self) -> None:
        """End the report."""


class Silence(Progress):
    """Report nothing."""

    def loading(self, label: str, done: int, total: int) -> None:
        pass

    def trained(self, progress: TrainingProgress) -> None:
        pass

    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        pass

    def write(self, line: str) -> None:
        pass

    def close(self) -> None:
        pass
