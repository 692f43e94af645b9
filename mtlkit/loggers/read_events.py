"""Events read back from JSON lines."""

import json
import math
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

    A number that was not finite is NaN. An unfinished last line, of a run that is going on, is left
    out. Raises `RunError` with the
    number of a line that mtlkit did not write.
    """
    if not path.exists():
        return []
    converter = cattrs.Converter()
    converter.register_structure_hook(
        float, lambda number, _: math.nan if number is None else float(number)
    )
    events: list[Event] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            found = json.loads(line)
            events.append(converter.structure(found, _TYPES[found.pop("kind")]))
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
