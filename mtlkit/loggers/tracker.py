"""Runs of experiment trackers: one for each run folder, which a resumed run continues."""

import io
import json
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtlkit.errors import RunError, error_text, import_extra
from mtlkit.loggers.base import LogWriter
from mtlkit.loggers.curves import curves
from mtlkit.loggers.events import Event, PictureEvent


class TrackerWriter(LogWriter):
    """Sends events to a run of a tracker, each of them once.

    The file ``TRACKER.json`` in the run's `folder` holds the id of the tracker's run and the steps
    that were sent. A run that is resumed computes the events after its checkpoint again, with the
    same values; they are not sent a second time.
    """

    def __init__(self, folder: Path, tracker: str) -> None:
        self.folder, self.tracker = folder, tracker
        self._path = folder / f"{tracker}.json"
        try:
            stored = json.loads(self._path.read_bytes()) if self._path.exists() else {}
            self.id: str | None = stored.get("id")
            self._sent: dict[str, int] = dict(stored.get("sent", {}))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as cause:
            raise RunError(
                f"{self._path}: is damaged ({error_text(cause)}); delete it to continue the logs "
                f"in a new run of {tracker}"
            ) from cause

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.absolute().name

    def keep(self, number: str) -> None:
        """Store the id of the tracker's run."""
        self.id = number
        self._save()

    def write(self, event: Event) -> None:
        kind = type(event).__name__
        if event.step <= self._sent.get(kind, 0):
            return
        with self.errors():
            if isinstance(event, PictureEvent):
                self.send_pictures(event.pictures, event.step)
            else:
                self.send(curves(event), event.step)
        self._sent[kind] = event.step
        self._save()

    def _save(self) -> None:
        # written in every logged step; after a power cut, some events are sent twice
        new = self._path.with_suffix(".json.new")
        with self.errors():
            new.write_text(json.dumps({"id": self.id, "sent": self._sent}), "utf-8")
            os.replace(new, self._path)

    def flush(self) -> None:
        """Do nothing: a tracker sends events by itself."""

    @abstractmethod
    def send(self, values: Mapping[str, float], step: int) -> None:
        """Send the values of curves."""

    @abstractmethod
    def send_pictures(self, pictures: Mapping[str, bytes], step: int) -> None:
        """Send pictures, as PNG by name."""

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise `RunError` with the tracker's name in place of its errors."""
        try:
            yield
        except Exception as cause:  # of many types: the tracker's, and those of its network
            raise RunError(
                f"train.loggers: {self.tracker}: could not log the run ({error_text(cause)}). "
                f"The last checkpoint is kept; fix the cause and resume the run, or remove the "
                f"logger from its recipe and resume with `--accept recipe`"
            ) from cause


class RunWriter(TrackerWriter):
    """Sends events to `_run`, an object with a method ``log``; `_image` makes its pictures."""

    _run: Any
    _image: Callable[[Any], object]

    def send(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def send_pictures(self, pictures: Mapping[str, bytes], step: int) -> None:
        images = {name: self._image(image_of(png)) for name, png in pictures.items()}
        self._run.log(images, step=step)


def image_of(png: bytes) -> Any:
    """Return a PNG as an image of PIL."""
    from PIL import Image

    return Image.open(io.BytesIO(png))


def import_tracker(module: str, tracker: str, package: str) -> Any:
    """Return a module of an experiment tracker; `MissingExtraError` if it is not installed."""
    return import_extra(module, f"train.loggers: the logger {tracker!r}", package, tracker)


def recipe_of(folder: Path) -> dict[str, Any]:
    """Return the resolved recipe of the run in `folder`, as plain values; empty without one."""
    import yaml

    path = folder / "recipe.yaml"
    return yaml.safe_load(path.read_text("utf-8")) if path.exists() else {}


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping, with dotted names.

    >>> flat({"train": {"epochs": 2}, "callbacks": ["ema"]})
    {'train.epochs': 2, 'callbacks.0': 'ema'}
    """
    if isinstance(values, list):
        values = {str(number): value for number, value in enumerate(values)}
    if not isinstance(values, dict):
        return {prefix: values}
    joined: dict[str, Any] = {}
    for key, value in values.items():
        joined |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return joined
