"""Signals as a request to stop, which the loop reads between two updates.

SIGINT is Ctrl-C, SIGTERM the request of a system that shuts down, SIGHUP that of a closed terminal,
SIGUSR1 the warning of Slurm (``--signal=USR1``), and SIGXCPU that of a soft limit of CPU time.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

ALWAYS_HANDLED = (signal.SIGINT, signal.SIGTERM)
"""Signals that request a stop even if they were ignored before."""

SIGNALS = ALWAYS_HANDLED + tuple(
    getattr(signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGXCPU") if name in dir(signal)
)
"""Signals that request a stop, as far as the system has them."""


class StopRequest:
    """A flag that a signal sets."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Yield a request that the first signal sets; SIGINT after another signal aborts at once.

    Systems send the other signals repeatedly: a scheduler to all processes of a job, and torchrun
    once more to its own. Only the main thread receives signals: in another thread the request is
    never set.
    """
    request = StopRequest()

    def handle(number: int, _frame: FrameType | None) -> None:
        if request.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.requested = True

    with _handled_by(handle):
        yield request


@contextmanager
def interrupt_on_signal(error: type[KeyboardInterrupt] = KeyboardInterrupt) -> Iterator[None]:
    """Raise `error` at once on each signal, where no update needs to be completed."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise error

    with _handled_by(handle):
        yield


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Set the handler of `SIGNALS`, except of those that a program such as nohup ignores."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [
        number
        for number in SIGNALS
        if number in ALWAYS_HANDLED or signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
