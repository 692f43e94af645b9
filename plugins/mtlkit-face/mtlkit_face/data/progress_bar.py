"""Progress on stderr: a bar on a terminal, lines in redirected output."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtlkit.plugins import echo

SECONDS = 10.0
"""Least time between two lines of redirected output."""


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr; yields the function to update it.

    The function takes the number of items done and their total. On a terminal a bar is drawn. In
    redirected output, a line is written at most every 10 seconds, and none for what takes less.

    >>> with progress_bar("aligning faces") as progress:
    ...     progress(1, 2)
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(label, time.monotonic)
        return
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class ProgressLines:
    """Writes lines such as ``embedding pictures: 1,400 of 7,000 (20%), 35 s, 140 s left``.

    `clock` returns seconds.
    """

    def __init__(self, label: str, clock: Callable[[], float]) -> None:
        self._label = label
        self._clock = clock
        self._start = self._last = clock()

    def __call__(self, done: int, total: int) -> None:
        now = self._clock()
        if now - self._last < SECONDS or not done:
            return
        self._last = now
        seconds = now - self._start
        left = seconds * (total - done) / done
        echo(
            f"{self._label}: {done:,} of {total:,} ({done / max(total, 1):.0%}), {seconds:.0f} s, "
            f"{left:.0f} s left",
            err=True,
        )
