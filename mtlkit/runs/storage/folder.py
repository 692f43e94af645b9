"""The folder of a run: paths of its files, each written whole or not at all."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.atomic_files import (
    TEMPORARY,
    disk_errors,
    make_folder,
    remove_partial,
    require_utf8,
    write_file,
)
from mtlkit.checksums import sealed, unsealed
from mtlkit.errors import RunError, error_text
from mtlkit.regular_files import LARGEST_JSON, read_regular
from mtlkit.runs.storage.lock import LOCK, lock_folder


class State(Enum):
    """State of a run."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class Status:
    """Recorded status of a run; the process `pid` of the machine `host` may have ended."""

    state: State = attrs.field(converter=State)
    step: int = attrs.field(default=0, converter=int)  # updates up to the last checkpoint or end
    steps: int = attrs.field(default=0, converter=int)  # total; 0 before the data is loaded
    reason: str = ""
    seconds: float = attrs.field(default=0.0, converter=float)  # of training, over all sessions
    peak_memory_bytes: int = attrs.field(default=0, converter=int)
    checksums: Mapping[str, str] = attrs.field(factory=dict)  # of files, once training has ended
    untrained: tuple[str, ...] = ()  # parameters that no loss reaches
    pid: int = attrs.field(default=0, converter=int)
    host: str = ""

    @classmethod
    def running(cls, **facts: Any) -> "Status":
        """Return the status, with the given `facts`, of a run on which this process works."""
        return cls(state=State.RUNNING, pid=os.getpid(), host=socket.gethostname(), **facts)


class FolderFile(property):
    """The path of a file or subfolder, by its name, of an object with the `path` of a folder."""

    def __init__(self, name: str, doc: str) -> None:
        super().__init__(lambda folder: folder.path / name, doc=doc)

    if TYPE_CHECKING:

        def __get__(self, folder: Any, owner: Any = None) -> Path: ...  # type: ignore[override]


@attrs.frozen
class RunFolder:
    """Paths of a run's files, named by content.

    >>> RunFolder(Path("runs/first")).recipe.name
    'recipe.yaml'
    """

    path: Path = attrs.field(converter=Path)

    recipe = FolderFile("recipe.yaml", "The resolved recipe.")
    provenance = FolderFile(
        "provenance.json", "Versions of the components, packages and platform of the run."
    )
    log = FolderFile("log.jsonl", "Reproducible events, one JSON object per line.")
    speed = FolderFile("speed.jsonl", "Speed events, one JSON object per line.")
    tensorboard = FolderFile("tensorboard", "Events for TensorBoard, if the recipe enables them.")
    checkpoints = FolderFile("checkpoints", "The folder of the newest checkpoints.")
    model = FolderFile("model.safetensors", "The weights of the trained model.")
    assembly = FolderFile(
        "assembly.json",
        "Properties of the data that the model is built from, to rebuild it without the data.",
    )
    evaluation = FolderFile("evaluation.json", "Results of the evaluators.")
    report = FolderFile("report.html", "Page that shows the evaluation.")
    status_file = FolderFile("status.json", "Status of the run.")

    def status(self) -> Status:
        """Return the status of the run; raise `RunError` if the folder holds no run."""
        values = read_json(self.status_file)
        with stored_values(self.status_file):
            return Status(**{**values, "untrained": tuple(values["untrained"])})

    def write_status(self, status: Status) -> None:
        """Write the status of the run."""
        write_json(self.status_file, {**attrs.asdict(status), "state": status.state.value})

    def discard(self) -> None:
        """Remove what a run without a checkpoint has written, and the folder if that empties it.

        The recipe and the provenance go last: if this is interrupted, the folder holds a run that
        can be resumed, or one that is replaced by the next.
        """
        with contextlib.suppress(OSError):  # keep the error that led here visible
            for subfolder in (self.checkpoints, self.tensorboard):
                shutil.rmtree(subfolder, ignore_errors=True)
            remove_partial(self.path)
            files = (self.log, self.speed, self.assembly, self.status_file)
            for file in (*files, self.recipe, self.provenance, self.path / LOCK):
                file.unlink(missing_ok=True)
            self.path.rmdir()  # fails if the folder holds other files, which stay

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes out; `RunError` if one is working in the folder."""
        return lock_folder(self.path, "run", holder=self._holder)

    def _holder(self) -> int:
        return self.status().pid if self.status_file.exists() else 0


def refuse_taken(folder: RunFolder) -> None:
    """Create the folder of a new run; raise `RunError` if it exists and is not empty.

    A run begins with its recipe. What a run that was killed before leaves does not count.
    """
    path = folder.path
    if os.path.isfile(path):
        raise RunError(f"{path}: is a file; expected a new or empty folder for the run")
    make_folder(path)
    if folder.recipe.exists():
        raise RunError(
            f"{path}: holds another run; choose another folder, or continue that run by "
            f"`mtlkit resume {path}`"
        )
    begun = (LOCK, folder.provenance.name)
    with disk_errors(path):
        names = os.listdir(path)
    if any(name not in begun and not name.startswith(TEMPORARY) for name in names):
        raise RunError(f"{path}: is not empty; expected a new or empty folder for the run")


def is_finished(folder: RunFolder) -> bool:
    """Return whether the run is finished and its model and evaluation are in the folder.

    A damaged status, model or evaluation is left to those who read it.
    """
    files = (folder.status_file, folder.model, folder.evaluation)
    return all(map(Path.exists, files)) and folder.status().state is State.FINISHED


def open_run(path: Path) -> RunFolder:
    """Return the folder of the run at `path`; raise `RunError` if there is none."""
    folder = RunFolder(path)
    require_utf8(path)
    if not folder.recipe.is_file():
        raise RunError(f"{path}: holds no run: there is no {folder.recipe.name} in it")
    return folder


def read_provenance(folder: RunFolder) -> dict[str, Any]:
    """Return the provenance of the run; raise `RunError` if a value that is read is missing."""
    values = read_json(folder.provenance)
    with stored_values(folder.provenance):
        Path(values["base"])
        int(values["ranks"]), int(values["threads"]), str(values["python"])
        str(dict(values["versions"])["mtlkit"]), "; ".join(values.get("notes", ()))
        [(one["distribution"], one["version"]) for one in dict(values["components"]).values()]
    return values


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` to `path` as JSON with its checksum, whole or not at all."""
    try:
        content = sealed(value, indent=2).encode()
    except UnicodeEncodeError:  # a path whose bytes are not UTF-8
        content = sealed(value, indent=2, ascii_only=True).encode()
    write_file(path, content + b"\n")


@contextmanager
def stored_values(path: Path) -> Iterator[None]:
    """Raise as a `RunError` what unknown, missing or wrong values of the file at `path` cause.

    Its checksum is right, so another version of mtlkit wrote it, or a program edited it.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ExceptionGroup) as cause:
        reason = cause.exceptions[0] if isinstance(cause, ExceptionGroup) else cause
        raise RunError(
            f"{path}: got other values than this version of mtlkit writes "
            f"({error_text(reason)}); use the version that wrote it, or start anew"
        ) from cause


class _StoredObject(dict[str, Any]):
    """A JSON object of a file, whose missing keys are errors that name the file."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, key: str) -> Any:
        with stored_values(self._path):
            raise LookupError(f"no key {key!r}")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that `write_json` wrote to `path`.

    Raises `RunError` if the file is missing, unreadable, damaged or edited; reading a key that the
    object lacks raises it, too.
    """
    try:
        return _StoredObject(path, unsealed(read_regular(path, LARGEST_JSON)))
    except FileNotFoundError:
        raise RunError(f"{path}: is missing; expected a file that every run has") from None
    except OSError as cause:
        raise RunError(f"{path}: cannot be read: {cause.strerror or cause}") from cause
    except ValueError as cause:
        raise RunError(
            f"{path}: cannot be used: {cause}; restore the file from a copy, or start anew"
        ) from cause
