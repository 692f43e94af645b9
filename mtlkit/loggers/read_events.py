"""Events read back from JSON lines."""

import json
from pathlib import Path

import cattrs

from mtlkit.errors import RunError
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent

_TYPES: dict[str, type[Event]] = {
    "step": StepEvent,
    "evaluation": EvaluationEvent,
    "speed": Speed,
}


def read_events(path: Path) -> list[Event]:
    """The events in the file at `path`, in their order; none where there is no file.

    An unfinished last line, of a run that is going on, is left out. Raises `RunError` with the
    number of a line that mtlkit did not write.
    """
    if not path.exists():
        return []
    events: list[Event] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            found = json.loads(line)
            events.append(cattrs.structure(found, _TYPES[found.pop("kind")]))
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            cattrs.BaseValidationError,
        ) as cause:
            raise RunError(
                f"{path}:{number}: expected an event of mtlkit, found {line!r}"
            ) from cause
    return events
