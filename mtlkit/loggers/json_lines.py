"""Events as JSON Lines, with reproducible values and training speed in separate files."""

import json
import math
from pathlib import Path

import attrs
import cattrs

from mtlkit.loggers.base import Logger, LogWriter
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent
from mtlkit.loggers.lines_file import LinesFile


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
        self._log = LinesFile(folder / "log.jsonl", step, _step_of)
        self._speed = LinesFile(folder / "speed.jsonl", step, _step_of)

    def write(self, event: Event) -> None:
        file = self._speed if isinstance(event, Speed) else self._log
        fields = self._converter.unstructure(event)
        file.write(json.dumps({"kind": KINDS[type(event)], **fields}, allow_nan=False))

    def flush(self) -> None:
        for file in (self._log, self._speed):
            file.flush()

    def state(self) -> dict[str, tuple[int, str]]:
        return {file.path.name: file.state() for file in (self._log, self._speed)}

    def close(self) -> None:
        try:
            self._log.close()
        finally:
            self._speed.close()


def _step_of(line: bytes) -> int:
    step: int = json.loads(line)["step"]
    return step
