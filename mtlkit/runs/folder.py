"""The folder of a run: which file is where, and nothing in it ever half-written."""

import contextlib
import json
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from mtlkit.atomic_files import disk_errors, write_file
from mtlkit.errors import RunError
from mtlkit.runs.lock import LOCK, lock_folder


class State(Enum):
    """How far a run has come."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class Status:
    """What a run says of itself; the process named by `pid` may be gone."""

    state: State
    step: int = 0  # updates made, as far as the last checkpoint or the end
    steps: int = 0  # updates to make in all; 0 before the data is known
    reason: str = ""
    seconds: float = 0.0  # of training, over all sittings
    peak_memory_bytes: int = 0
    untrained: tuple[str, ...] = ()  # parameters that no loss reaches
    pid: int = 0


@attrs.frozen
class RunFolder:
    """The files of a run, by what they hold.

    >>> RunFolder(Path("runs/first")).recipe.name
    'recipe.yaml'
    """

    path: Path = attrs.field(converter=Path)

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def provenance(self) -> Path:
        """The versions of everything that took part."""
        return self.path / "provenance.json"

    @property
    def log(self) -> Path:
        """The reproducible events, one JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def speed(self) -> Path:
        """How fast it went, one JSON object a line."""
        return self.path / "speed.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The events for TensorBoard, where they were asked for."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """The folder of the newest checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The weights of the trained model."""
        return self.path / "model.safetensors"

    @property
    def assembly(self) -> Path:
        """What the data decided about the model, with which it is built again without the data."""
        return self.path / "assembly.json"

    @property
    def evaluation(self) -> Path:
        """What the evaluators found."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The page that shows it."""
        return self.path / "report.html"

    @property
    def status_file(self) -> Path:
        """How far the run has come."""
        return self.path / "status.json"

    def status(self) -> Status:
        """How far the run has come; `RunError` where the folder holds no run."""
        found = read_json(self.status_file)
        found |= {"state": State(found["state"]), "untrained": tuple(found["untrained"])}
        return Status(**found)

    def write_status(self, status: Status) -> None:
        """Say how far the run has come."""
        write_json(self.status_file, {**attrs.asdict(status), "state": status.state.value})

    def discard(self) -> None:
        """Remove what a run without a checkpoint has written, and the folder if that empties it."""
        begun = (self.recipe, self.provenance, self.assembly, self.status_file, self.path / LOCK)
        with contextlib.suppress(OSError):  # the error that led here is the one to see
            for file in (*begun, self.log, self.speed):
                file.unlink(missing_ok=True)
            for inner in (self.checkpoints, self.tensorboard):
                shutil.rmtree(inner, ignore_errors=True)
            self.path.rmdir()  # refused where something else is in it, which is not ours to remove

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes out; `RunError` if one is working in the folder."""
        return lock_folder(self.path, "run", holder=self._holder)

    def _holder(self) -> int:
        return self.status().pid if self.status_file.exists() else 0


def refuse_taken(folder: RunFolder) -> None:
    """Make the folder of a new run; `RunError` where anything is in its place already."""
    path = folder.path
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file; expected a new or empty folder for the run")
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    if folder.recipe.exists():
        raise RunError(
            f"{path}: holds another run; choose another folder, or go on with that run by "
            f"`mtlkit resume {path}`"
        )
    if any(item.name != LOCK for item in path.iterdir()):
        raise RunError(f"{path}: is not empty; expected a new or empty folder for the run")


def open_run(path: Path) -> RunFolder:
    """The run's folder at `path`; `RunError` where there is none."""
    folder = RunFolder(path)
    if not folder.recipe.is_file():
        raise RunError(f"{path}: holds no run: there is no {folder.recipe.name} in it")
    return folder


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Put `value` at `path` as JSON, whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(path, f"{text}\n".encode())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object at `path`; `RunError` where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: is missing; expected a file that every run has") from None
    except ValueError as cause:
        raise RunError(f"{path}: holds no JSON: {cause}") from cause
    if not isinstance(found, dict):
        raise RunError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found
