"""Events as a CSV table."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit.loggers.base import Logger, LogWriter
from mtlkit.loggers.curves import curves
from mtlkit.loggers.events import Event
from mtlkit.loggers.lines_file import LinesFile

HEADER = "step,name,value"


@attrs.frozen(kw_only=True)
class CSV(Logger):
    """A table in ``metrics.csv`` with a row for each value: its step, name and value.

    Names are those of TensorBoard's curves, such as ``loss/pose`` and ``validation/pose/accuracy``.
    A table with a column for each curve is `pandas.DataFrame.pivot_table("value", "step", "name")`.
    """

    def open(self, folder: Path, step: int) -> LogWriter:
        return CSVTableWriter(folder, step)


class CSVTableWriter(LogWriter):
    """Writer of ``metrics.csv`` in `folder`, truncated after `step`; `RunError` if it fails."""

    def __init__(self, folder: Path, step: int) -> None:
        self._file = LinesFile(folder / "metrics.csv", step, _step_of)
        if not self._file.state()[0]:
            self._file.write(HEADER)

    def write(self, event: Event) -> None:
        rows = io.StringIO()
        table = csv.writer(rows, lineterminator="\n")
        table.writerows((event.step, name, value) for name, value in curves(event).items())
        for row in rows.getvalue().splitlines():
            self._file.write(row)

    def flush(self) -> None:
        self._file.flush()

    def state(self) -> Mapping[str, tuple[int, str]]:
        return {self._file.path.name: self._file.state()}

    def close(self) -> None:
        self._file.close()


def _step_of(line: bytes) -> int:
    return 0 if line.decode().rstrip("\n") == HEADER else int(line.partition(b",")[0])
