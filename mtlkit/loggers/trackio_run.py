"""Events as a run of Trackio."""

import contextlib
import sys
import uuid
from pathlib import Path

import attrs

from mtlkit.loggers.base import LogWriter, PictureLogger
from mtlkit.loggers.tracker import RunWriter, import_tracker, recipe_of


@attrs.frozen(kw_only=True)
class Trackio(PictureLogger):
    """A run of Trackio with the recipe as its config; requires the extra ``mtlkit[trackio]``.

    Runs are kept on this machine (TRACKIO_DIR; by default in the cache of Hugging Face) and shown
    by `trackio show`, unless `space` names a Space of Hugging Face. `figures` stores the charts of
    the report at the end, `images` its pictures too.
    """

    project: str = "mtlkit"
    group: str | None = None
    space: str | None = None

    def open(self, folder: Path, step: int) -> LogWriter:
        return TrackioWriter(self, folder)


class TrackioWriter(RunWriter):
    """Writer of a run of Trackio, which a resumed run continues by its name.

    Raises `MissingExtraError` if Trackio is not installed, and `RunError` if it fails.
    """

    def __init__(self, options: Trackio, folder: Path) -> None:
        super().__init__(folder, "trackio")
        trackio = import_tracker("trackio", "trackio", "Trackio")
        self._image = trackio.Image
        name = self.id or f"{self.name}-{uuid.uuid4().hex[:8]}"
        # leaves standard output to the results of a command
        with self.errors(), contextlib.redirect_stdout(sys.stderr):
            self._run = trackio.init(
                project=options.project,
                name=name,
                group=options.group,
                space_id=options.space,
                config=recipe_of(folder),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        self.keep(name)

    def close(self) -> None:
        with self.errors(), contextlib.redirect_stdout(sys.stderr):
            self._run.finish()
