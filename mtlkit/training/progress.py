"""What a person sees while a run goes on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class TrainingProgress:
    """How far training has come, and the newest logged means of losses and weights by term."""

    step: int
    steps: int
    epoch: int  # from 1
    epochs: int
    samples_per_second: float
    seconds_left: float
    losses: Mapping[str, float]
    weights: Mapping[str, float]


class Progress(ABC):
    """Is told how far a run has come; never decides anything."""

    @abstractmethod
    def loading(self, label: str, done: int, total: int) -> None:
        """`done` of `total` items of what `label` says are loaded."""

    @abstractmethod
    def trained(self, standing: TrainingProgress) -> None:
        """An update was made; called after every one, so it must return at once."""

    @abstractmethod
    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        """The validation split was looked at."""

    @abstractmethod
    def say(self, line: str) -> None:
        """A sentence."""

    @abstractmethod
    def close(self) -> None:
        """Nothing more will come."""


class Silence(Progress):
    """Shows nothing."""

    def loading(self, label: str, done: int, total: int) -> None:
        pass

    def trained(self, standing: TrainingProgress) -> None:
        pass

    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def close(self) -> None:
        pass
