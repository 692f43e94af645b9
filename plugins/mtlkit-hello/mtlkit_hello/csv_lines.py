"""The logger `csv`."""

import csv
import os
from pathlib import Path

import attrs

from mtlkit.callbacks import Event, Logger, LogWriter, StepEvent

HEADER = ["step", "term", "loss", "weight"]


@attrs.frozen(kw_only=True)
class CSVLines(Logger):
    """Losses and weights of the logged steps, as a line of ``losses.csv`` for each term."""

    def open(self, folder: Path, step: int) -> LogWriter:
        return CSVWriter(folder / "losses.csv", step)


class CSVWriter(LogWriter):
    """A table, without the lines that an interrupted run wrote after `step`."""

    def __init__(self, path: Path, step: int) -> None:
        rows: list[list[str]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in list(csv.reader(file))[1:] if int(row[0]) <= step]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerows([HEADER, *rows])

    def write(self, event: Event) -> None:
        if isinstance(event, StepEvent):
            for term, loss in event.losses.items():
                self._writer.writerow([event.step, term, loss, event.weights[term]])

    def flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
