"""Events as JSON Lines, with reproducible values and training speed in separate files."""

import json
import math
import os
from io import TextIOWrapper
from pathlib import Path

import attrs
import cattrs

from mtlkit.errors import RunError
from mtlkit.loggers.base import Logger, LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent


@attrs.frozen(kw_only=True)
class JsonLines(Logger):
    """JSON Lines: ``log.jsonl`` for reproducible events and ``speed.jsonl`` for training speed."""

    def open(self, folder: Path, step: int) -> LogWriter:
        return JsonLinesWriter(folder, step)


KINDS = {StepEvent: "step", EvaluationEvent: "evaluation", Speed: "speed"}


class JsonLinesWriter(LogWriter):
    """Writer of ``log.jsonl`` and ``speed.jsonl`` in `folder`, truncated after `step`.

    ``log.jsonl`` is a function of the recipe alone: two runs on a CPU write the same bytes. NaN and
    infinite numbers are written as null. Raises `RunError` if writing fails.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._converter = cattrs.Converter()
        self._converter.register_unstructure_hook(
            float, lambda number: number if math.isfinite(number) else None
        )
        self._log = _opened(folder / "log.jsonl", step)
        self._speed = _opened(folder / "speed.jsonl", step)

    def write(self, event: Event) -> None:
        file = self._speed if isinstance(event, Speed) else self._log
        fields = self._converter.unstructure(event)
        line = json.dumps({"kind": KINDS[type(event)], **fields}, allow_nan=False)
        try:
            file.write(f"{line}\n")
            file.flush()  # makes the event visible to readers and detects a full disk
        except OSError as cause:
            raise _write_error(file, cause) from cause

    def flush(self) -> None:
        for file in (self._log, self._speed):
            try:
                file.flush()
                os.fsync(file.fileno())
            except OSError as cause:
                raise _write_error(file, cause) from cause

    def close(self) -> None:
        try:
            _close(self._log)
        finally:
            _close(self._speed)


def _opened(path: Path, step: int) -> TextIOWrapper:
    """Open the file at `path` for appending, truncated after the last complete line of `step`."""
    try:
        with path.open("ab+") as file:
            file.seek(0)
            end = 0
            for line in file:
                if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                    break
                end += len(line)
            file.truncate(end)
        return path.open("a", encoding="utf-8", newline="\n")
    except OSError as cause:
        raise RunError(f"{path}: could not be opened for writing: {cause.strerror}") from cause
    except (ValueError, KeyError, TypeError) as cause:
        raise RunError(
            f"{path}: contains a line that mtlkit did not write ({cause}); move the file away and "
            f"resume the run"
        ) from cause


def _close(file: TextIOWrapper) -> None:
    try:
        file.close()
    except OSError as cause:
        raise _write_error(file, cause) from cause


def _write_error(file: TextIOWrapper, cause: OSError) -> RunError:
    return RunError(
        f"{file.name}: could not be written: {cause.strerror}. The last checkpoint is kept; free "
        f"some space or fix the cause, then resume the run"
    )
