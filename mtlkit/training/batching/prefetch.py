"""Reading ahead: the samples of the next updates are read while an update runs."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mtlkit.errors import DataError, MtlkitError, error_text

T = TypeVar("T")

AHEAD = 2
"""Number of updates that are read ahead."""


class Prefetcher(Generic[T]):
    """Calls `read` for each step in one thread, for up to `ahead` steps before they are requested.

    With 0 steps `read` is called when its result is requested. It must be a pure function of the
    step, so that the results are the same. Steps from `last` on are not read. Errors of `read` are
    raised by `get`, for their own step.

    >>> squares = Prefetcher(lambda step: step**2, last=4, ahead=2)
    >>> [squares.get(step) for step in (0, 1, 3)]
    [0, 1, 9]
    >>> squares.close()
    """

    def __init__(self, read: Callable[[int], T], last: int, ahead: int = AHEAD) -> None:
        self._read, self._last, self._ahead = read, last, ahead
        self._thread: ThreadPoolExecutor | None = None
        self._tasks: dict[int, Future[T]] = {}

    def get(self, step: int) -> T:
        """Return ``read(step)``, and read the steps after it meanwhile."""
        if not self._ahead:
            return self._read(step)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "read-ahead", torch.set_num_threads, (1,))
            # the setting is that of the thread, but threads started later copy the last one
            self._thread.submit(torch.get_num_threads).result()
            torch.set_num_threads(torch.get_num_threads())
        steps = range(step, max(step + 1, min(step + 1 + self._ahead, self._last)))
        for other in [other for other in self._tasks if other not in steps]:
            self._tasks.pop(other).cancel()  # another step was expected, before a resume
        for number in steps:
            if number not in self._tasks:
                self._tasks[number] = self._thread.submit(self._read, number)
        return self._tasks.pop(step).result()

    def close(self) -> None:
        """End the thread, after the step that it is reading."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        self._thread, self._tasks = None, {}


def read_named(read: Callable[[Tensor], T], index: Tensor, ids: Sequence[str]) -> T:
    """Return ``read(index)``; if it fails, raise a `DataError` that names the sample.

    Errors of mtlkit are raised as they are, because they name the place themselves.

    >>> read_named(lambda index: 1 / index, torch.tensor([2]), ["a", "b", "c"]).item()
    0.5
    """
    try:
        return read(index)
    except MtlkitError:
        raise
    except Exception:
        for number in index.tolist():
            try:
                read(torch.tensor([number]))
            except Exception as cause:
                raise DataError(f"{ids[number]}: cannot be read: {error_text(cause)}") from cause
        raise  # the samples can be read alone, but not together
