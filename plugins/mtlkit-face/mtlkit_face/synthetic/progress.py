"""A progress bar on a terminal."""

import sys
import time
from typing import TextIO

import attrs


@attrs.define
class ProgressBar:
    """Prints pictures done, speed and time left; to be given to `render_set` as `progress`.

    On a terminal one line is rewritten; elsewhere a line is printed for every tenth part.
    """

    stream: TextIO = attrs.field(factory=lambda: sys.stderr)
    width: int = 30
    _start: float = attrs.field(factory=time.monotonic, init=False)
    _printed: float = attrs.field(default=-1.0, init=False)

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` pictures are finished."""
        share = done / total
        terminal = self.stream.isatty()
        if share < 1 and share - self._printed < (0.002 if terminal else 0.1):
            return
        self._printed = share
        passed = max(time.monotonic() - self._start, 1e-9)
        left = passed / share - passed
        bar = "#" * round(share * self.width)
        text = (
            f"[{bar:.<{self.width}}] {done}/{total} pictures, {done / passed:.0f}/s, {left:.0f} s"
        )
        end = "\n" if share >= 1 or not terminal else ""
        self.stream.write(("\r" if terminal else "") + text + " left" + end)
        self.stream.flush()
