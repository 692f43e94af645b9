"""The interface for progress reports of a run."""

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


class Progress:
    """Receive the progress of a run, and never change the run; methods do nothing by default."""

    def loading(self, label: str, done: int, total: int) -> None:
        """Report that `done` of `total` items named `label` are loaded."""

    def trained(self, progress: TrainingProgress) -> None:
        """Report an update; called after every one, so it must return at once."""

    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        """Report the metrics of the validation split."""

    def write(self, line: str) -> None:
        """Print a message."""

    def close(self) -> None:
        """End the report."""


class Silence(Progress):
    """Report nothing."""
