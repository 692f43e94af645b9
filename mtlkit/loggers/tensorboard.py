"""Events as TensorBoard curves."""

from pathlib import Path

import attrs

from mtlkit.errors import MissingExtraError
from mtlkit.loggers.base import Logger, LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent


@attrs.frozen(kw_only=True)
class TensorBoard(Logger):
    """Event files in ``tensorboard/``; requires the extra ``mtlkit[tensorboard]``."""

    def open(self, folder: Path, step: int) -> LogWriter:
        return TensorBoardWriter(folder, step)


class TensorBoardWriter(LogWriter):
    """Writer of event files in ``tensorboard/`` of `folder`; TensorBoard hides events after `step`.

    Raises `MissingExtraError` if TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as cause:
            raise MissingExtraError(
                "train.loggers: the logger 'tensorboard' needs TensorBoard, which is not "
                "installed; run `pip install 'mtlkit[tensorboard]'`"
            ) from cause
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, event: Event) -> None:
        for name, value in _curves(event).items():
            self._writer.add_scalar(name, value, event.step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _curves(event: Event) -> dict[str, float]:
    """Return the values of an event by curve name."""
    match event:
        case StepEvent():
            return {
                "learning rate": event.learning_rate,
                **{f"loss/{name}": value for name, value in event.losses.items()},
                **{f"weight/{name}": value for name, value in event.weights.items()},
                **{f"gradient norm/{k}": value for k, value in event.gradient_norms.items()},
                **{f"gradient cosine/{k}": value for k, value in event.gradient_cosines.items()},
                **{f"learning rate/{k}": value for k, value in event.learning_rates.items()},
                **event.values,
            }
        case EvaluationEvent():
            return {f"validation/{name}": value for name, value in event.metrics.items()}
        case Speed():
            return {
                "speed/samples per second": event.samples_per_second,
                "speed/peak memory in bytes": float(event.peak_memory_bytes),
            }
