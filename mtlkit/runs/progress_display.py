"""Progress displays: live on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from mtlkit.printable import printable_line
from mtlkit.report.folding import fold, folded_text
from mtlkit.report.numbers import duration
from mtlkit.task_types import FOLD_ABOVE
from mtlkit.training.progress import Progress, Silence, TrainingProgress

PATIENCE = 10.0
"""Longest time between plain lines, in seconds."""


def shown(*, quiet: bool, to: TextIO | None = None) -> Progress:
    """Return no display if `quiet`, a live display on a terminal, or else plain lines.

    If its output fails, such as after the terminal was closed, the display becomes silent.
    """
    if quiet:
        return Silence()
    console = Console(file=cast("IO[str]", _QuietOnFailure(to or sys.stderr)))
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class _QuietOnFailure:
    """A stream to `to` that drops everything after the first failure to write.

    A run must not end because nobody reads its progress: a pipe or a terminal that was closed, or
    a log on a full disk.
    """

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._failed = False
        self.encoding = to.encoding

    def write(self, text: str) -> int:
        self._attempt(lambda: self._to.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._to.flush)

    def isatty(self) -> bool:
        return self._to.isatty()

    def fileno(self) -> int:
        return self._to.fileno()

    def _attempt(self, act: Callable[[], object]) -> None:
        if not self._failed:
            try:
                act()
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._failed = True


class PlainProgress(Progress):
    """One line for each epoch, and one at least every ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic() + PATIENCE
        self._label = ""

    def loading(self, label: str, done: int, total: int) -> None:
        if label != self._label or done == total or time.monotonic() >= self._next:
            self._label = label
            self.write(f"{label}: {done} of {total}")

    def trained(self, standing: TrainingProgress) -> None:
        epoch_ended = standing.step % standing.steps_per_epoch == 0
        if epoch_ended or standing.step == standing.steps or time.monotonic() >= self._next:
            means = ""  # before the first logged step
            if standing.losses:
                losses, weights = folded_text(standing.losses), folded_text(standing.weights)
                means = f"losses {losses} | weights {weights} | "
            self.write(
                f"epoch {standing.epoch}/{standing.epochs} step {standing.step}/{standing.steps} | "
                f"{standing.samples_per_second:.0f} samples/s | {means}"
                f"{duration(standing.seconds_left)} left"
            )

    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        self.write(f"validation after epoch {epoch:g}: {folded_text(metrics)}")

    def write(self, line: str) -> None:
        self._next = time.monotonic() + PATIENCE
        self._console.print(printable_line(line), markup=False, highlight=False, soft_wrap=True)


class LiveProgress(Progress):
    """Bars for loading and training, and a table of losses and weights under them."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[rate]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._table = Table.grid()
        self._known: object = None
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=8)
        self._live.start()

    def _draw(self) -> Group:
        return Group(self._bars, self._table)

    def loading(self, label: str, done: int, total: int, rate: str = "") -> None:
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=total, rate=rate)
        self._bars.update(self._tasks[label], completed=done, total=total, rate=rate)

    def trained(self, standing: TrainingProgress) -> None:
        rate = f"{standing.samples_per_second:.0f} samples/s"
        self.loading("training", standing.step, standing.steps, rate)
        # rebuild the table only when a step is logged, because the means change only then
        if standing.losses is not self._known:
            self._known = standing.losses
            self._table = _table(standing)

    def validated(self, epoch: float, metrics: Mapping[str, float]) -> None:
        self.write(f"validation after epoch {epoch:g}: {folded_text(metrics)}")

    def write(self, line: str) -> None:
        self._live.console.print(printable_line(line), markup=False, highlight=False)

    def close(self) -> None:
        self._live.stop()


def _table(standing: TrainingProgress) -> Table:
    table = Table(title=f"epoch {standing.epoch} of {standing.epochs}", title_justify="left")
    table.add_column("")
    if len(standing.weights) > FOLD_ABOVE:
        return _folded_rows(table, standing)
    for name in standing.weights:
        table.add_column(escape(printable_line(name)), justify="right")
    for title, values in (("loss", standing.losses), ("weight", standing.weights)):
        cells = [f"{values[name]:.4g}" if name in values else "-" for name in standing.weights]
        table.add_row(title, *cells)
    return table


def _folded_rows(table: Table, standing: TrainingProgress) -> Table:
    """Add mean and range of the losses and weights of many tasks."""
    for name in ("mean", "lowest", "task", "highest", "task"):
        table.add_column(name, justify="right")
    for title, values in (("loss", standing.losses), ("weight", standing.weights)):
        folded = fold(values)
        if folded is not None:
            names = (folded.lowest_task, folded.highest_task)
            low, high = (escape(printable_line(name)) for name in names)
            numbers = (f"{x:.4g}" for x in (folded.mean, folded.lowest, folded.highest))
            mean, lowest, highest = numbers
            table.add_row(title, mean, lowest, low, highest, high)
    return table
