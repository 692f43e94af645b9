"""Ctrl-C and SIGTERM as a wish that the loop looks at, between two updates."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self.wished = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """The wish, set by the first SIGINT or SIGTERM; the second one aborts at once.

    Only the main thread hears signals: in another thread the wish is never set.
    """
    wish = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def hear(_number: int, _frame: FrameType | None) -> None:
        if wish.wished:
            raise KeyboardInterrupt
        wish.wished = True

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
