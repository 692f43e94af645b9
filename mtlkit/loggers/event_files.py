"""Reading of events from JSON Lines."""

import json
import math
from pathlib import Path

import cattrs

from mtlkit.errors import RunError
from mtlkit.loggers.events import EvaluationEvent, Event, Speed, StepEvent

_TYPES: dict[str, type[Event]] = {"step": StepEvent, "evaluation": EvaluationEvent, "speed": Speed}


def read_events(path: Path) -> list[Event]:
    """Return the events in the file at `path` in order; empty if the file does not exist.

    Numbers that were not finite are NaN. An incomplete last line, of a run in progress, is skipped.
    Raises `RunError` with the line number if a line is not an event.
    """
    if not path.exists():
        return []
    converter = cattrs.Converter()
    converter.register_structure_hook(
        float, lambda number, _: math.nan if number is None else float(number)
    )
    events: list[Event] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            fields = json.loads(line)
            events.append(converter.structure(fields, _TYPES[fields.pop("kind")]))
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            cattrs.BaseValidationError,
        ) as cause:
            text = line.decode("utf-8", "backslashreplace")
            raise RunError(f"{path}:{number}: expected an event of mtlkit, got {text!r}") from cause
    return events
