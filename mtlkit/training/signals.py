"""Ctrl-C and SIGTERM as a request to stop, which the loop reads between two updates."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A flag that a signal sets."""

    def __init__(self) -> None:
        self.wished = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Yield a request that the first SIGINT or SIGTERM sets; the second one aborts at once.

    Only the main thread receives signals: in another thread the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if request.wished:
            raise KeyboardInterrupt
        request.wished = True

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
