"""Threads that decode samples, started on the first use and kept between batches."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen(eq=False)
class DecoderPool:
    """Calls a function for each item of a batch, in up to `workers` threads.

    The threads start with the first batch and end when the pool is released. They help functions
    that release the interpreter's lock, as decoders of images do.

    >>> DecoderPool(2).map(abs, [-3, 2, -1])
    [3, 2, 1]
    """

    workers: int
    _threads: list[ThreadPoolExecutor] = attrs.field(init=False, factory=list)

    def map(self, function: Callable[[int], T], items: Sequence[int]) -> list[T]:
        """Return the results in the order of `items`; raise the first error in this order."""
        # a task for each image costs as much as decoding a small one
        size = -(-len(items) // (2 * self.workers))
        if self.workers == 1 or size == 0:
            return [function(item) for item in items]
        if not self._threads:
            self._threads.append(ThreadPoolExecutor(self.workers, "decoder"))
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        parts = self._threads[0].map(lambda chunk: [function(item) for item in chunk], chunks)
        return list(chain.from_iterable(parts))

    def __reduce__(self) -> tuple[Any, ...]:
        return DecoderPool, (self.workers,)
