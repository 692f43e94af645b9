"""Encoded images of shards by position, in the order of the shards."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
import numpy as np
from numpy.typing import NDArray

from mtlkit.data.memory_limit import memory_limit
from mtlkit.data.random_access import RandomAccessFile
from mtlkit.data.sharded.shard_files import ShardFile
from mtlkit.data.sharded.shard_index import image_column
from mtlkit.errors import DataError, error_text

if TYPE_CHECKING:
    import pyarrow

K = TypeVar("K")
V = TypeVar("V")

OPEN = 128
"""Number of tars that are kept open."""


@attrs.frozen(eq=False)
class ShardStore:
    """Images at `first` and `second` (N,) of `shard` (N,), numbers of `files`; see `ShardIndex`.

    16 bytes are kept for each image. Groups of rows of Parquet files are kept up to a quarter of
    the available memory.
    """

    files: Sequence[ShardFile]
    image: str | None
    shard: NDArray[np.int32]
    first: NDArray[np.int64]
    second: NDArray[np.int32]
    _tars: "LeastRecent[int, RandomAccessFile]" = attrs.field(
        init=False, factory=lambda: LeastRecent(OPEN, lambda _: 1)
    )
    _groups: "LeastRecent[tuple[int, int], pyarrow.ChunkedArray]" = attrs.field(
        init=False, factory=lambda: LeastRecent(memory_limit("auto") // 2, lambda c: int(c.nbytes))
    )

    def __len__(self) -> int:
        return len(self.shard)

    def read(self, position: int, /) -> bytes:
        number, first = int(self.shard[position]), int(self.first[position])
        second = int(self.second[position])
        if not self._is_tar(number):
            column = self._groups.get((number, first), lambda: self._group(number, first))
            content = column[second].as_py()
            if content is None:
                raise DataError("got no image in this row; remove the row")
            return bytes(content)
        return self._tars.get(number, self.files[number].open).read(first, second)

    def place(self, position: int, /) -> str:
        number, first = int(self.shard[position]), self.first[position]
        name = self.files[number].name
        if self._is_tar(number):
            return f"{name}, byte {first}"
        return f"{name}, group {first}, row {self.second[position]}"

    def encoded_sizes(self) -> NDArray[np.int64]:
        """Return the number of bytes (N,) of each image in a tar, and that of any other file."""
        tars = np.array([self._is_tar(number) for number in range(len(self.files))])
        sizes = np.array([file.identity.size for file in self.files], np.int64)
        return np.where(tars[self.shard], self.second, sizes[self.shard])

    def _is_tar(self, number: int) -> bool:
        return PurePosixPath(self.files[number].name).suffix.lower() == ".tar"

    def _group(self, number: int, group: int) -> "pyarrow.ChunkedArray":
        import pyarrow
        from pyarrow import parquet

        shard = self.files[number]
        path = shard.open().path
        try:
            with parquet.ParquetFile(path, page_checksum_verification=True) as file:
                name = image_column(shard.name, file.schema_arrow, self.image)
                column = file.read_row_group(group, [name], use_threads=False)[name]
        except (pyarrow.ArrowException, OSError) as cause:
            raise DataError(
                f"{shard.name}: group {group} cannot be read: {error_text(cause)}; the shard is "
                f"damaged or truncated, copy it again"
            ) from cause
        if pyarrow.types.is_struct(column.type):
            column = pyarrow.chunked_array(
                [chunk.field(column.type.get_field_index("bytes")) for chunk in column.chunks]
            )
        return column

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardStore, (self.files, self.image, self.shard, self.first, self.second)


class LeastRecent(Generic[K, V]):
    """Values by key, read on access by one thread for all; those used last are kept.

    The `size` of the values that are kept is at most `limit`, or that of one value.
    """

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self._limit, self._size = limit, size
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()
        self._reading: dict[K, threading.Lock] = {}

    def get(self, key: K, read: Callable[[], V]) -> V:
        """Return the value of `key`, from `read` if it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = read()
            with self._lock:
                self._values[key] = value
                self._reading.pop(key, None)
                total = sum(map(self._size, self._values.values()))
                while total > self._limit and len(self._values) > 1:
                    total -= self._size(self._values.popitem(last=False)[1])
        return value
