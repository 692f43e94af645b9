"""Events as TensorBoard curves."""

from pathlib import Path

import attrs
import numpy as np

from mtlkit.loggers.base import LogWriter, PictureLogger
from mtlkit.loggers.curves import curves
from mtlkit.loggers.events import Event, PictureEvent
from mtlkit.loggers.tracker import image_of, import_tracker


@attrs.frozen(kw_only=True)
class TensorBoard(PictureLogger):
    """Event files in ``tensorboard/``; requires the extra ``mtlkit[tensorboard]``.

    `figures` adds the charts of the report at the end, `images` its pictures too.
    """

    def open(self, folder: Path, step: int) -> LogWriter:
        return TensorBoardWriter(folder, step)


class TensorBoardWriter(LogWriter):
    """Writer of event files in ``tensorboard/`` of `folder`; TensorBoard hides events after `step`.

    Raises `MissingExtraError` if TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        tensorboard = import_tracker("torch.utils.tensorboard", "tensorboard", "TensorBoard")
        path = str(folder / "tensorboard")
        self._writer = tensorboard.SummaryWriter(path, purge_step=step + 1)

    def write(self, event: Event) -> None:
        if isinstance(event, PictureEvent):
            for name, png in event.pictures.items():
                pixels = np.asarray(image_of(png).convert("RGB"))
                self._writer.add_image(name, pixels, event.step, dataformats="HWC")
        for name, value in curves(event).items():
            self._writer.add_scalar(name, value, event.step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
