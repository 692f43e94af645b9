"""Read and write RecordIO, the container format of MXNet, without MXNet.

A file is a sequence of records: a magic number, a word with the part number and the length, the
payload, and zero padding to a multiple of four bytes. A payload that contains the magic number at a
multiple of four bytes is split there into parts, so that readers can resynchronize at the next
record. Source of the format: ``recordio.h`` of dmlc-core.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import RandomAccessFile
from mtlkit.plugins import DataError

MAGIC = 0xCED7230A
HEAD = struct.Struct("<II")
MAX_LENGTH = 64 * 1024**2
"""Largest number of bytes of a record, far above that of an image."""

Offsets = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

_MAGIC = struct.pack("<I", MAGIC)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH = 2**29 - 1


@attrs.frozen(eq=False)
class RecordFile:
    """RecordIO file, which threads and processes can share."""

    file: RandomAccessFile

    @classmethod
    def open(cls, path: Path) -> "RecordFile":
        """Return the file at `path`; raises `DataError` if it is empty or cannot be read."""
        file = RandomAccessFile.open(path)
        if file.size == 0:
            raise DataError(f"{path}: is empty (0 bytes); expected a RecordIO file")
        return cls(file)

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.file.path

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self.file.size

    def read(self, offset: int, most: int | None = None) -> bytes:
        """Return the payload of the record at the byte `offset`.

        With `most`, only the first `most` bytes of a record in one part are read. Raises
        `DataError` with the offset unless a complete record starts there.
        """
        return self._record(offset, most)[0]

    def end(self, offset: int) -> int:
        """Return the offset of the byte after the record at `offset`."""
        return self._record(offset, 0)[1]

    def records(self, most: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and payload of every record, in order."""
        offset = 0
        while offset < self.size:
            payload, end = self._record(offset, most)
            yield offset, payload
            offset = end

    def _record(self, offset: int, most: int | None) -> tuple[bytes, int]:
        """Return the payload, or its first `most` bytes, and the offset after the record."""
        part, length, end = self._head(offset)
        if part == _WHOLE:
            count = length if most is None else min(most, length)
            return self.file.read(offset + HEAD.size, count), end
        if part != _FIRST:
            raise self._damaged(offset, "got a later part of a record, expected the first one")
        pieces = [self.file.read(offset + HEAD.size, length)]
        while part != _LAST:
            start = end
            part, length, end = self._head(start)
            if part not in (_MIDDLE, _LAST):
                raise self._damaged(start, "got a new record, expected a further part of one")
            pieces += [_MAGIC, self.file.read(start + HEAD.size, length)]
            if end - offset > MAX_LENGTH:
                raise self._damaged(offset, f"the parts of a record exceed {MAX_LENGTH} bytes")
        return b"".join(pieces), end

    def _head(self, offset: int) -> tuple[int, int, int]:
        """Return the part number and length at `offset`, and the offset after the padding."""
        if not 0 <= offset <= self.size - HEAD.size:
            raise self._damaged(
                offset, f"the offset is outside of the file of {self.size} bytes; expected a record"
            )
        magic, word = HEAD.unpack(self.file.read(offset, HEAD.size))
        if magic != MAGIC:
            raise self._damaged(offset, f"got the magic number {magic:08x}, expected {MAGIC:08x}")
        part, length = word >> 29, word & _LENGTH
        if part > _LAST:
            raise self._damaged(offset, f"got the part number {part}, expected 0 to 3")
        if length > MAX_LENGTH:
            raise self._damaged(
                offset, f"got a record of {length} bytes, expected {MAX_LENGTH} at most"
            )
        end = offset + HEAD.size + length + -length % 4
        if end > self.size:
            raise self._damaged(
                offset, f"got a record of {length} bytes, but the file ends at {self.size}"
            )
        return part, length, end

    def single_parts(self, offsets: Offsets) -> tuple[Offsets, Words]:
        """Return the length (N,) of records in one part, and the first two words (N, 2) of each.

        The length of any other record, and of a damaged one, is -1. Reads 16 bytes of each record.
        """
        inside = (offsets >= 0) & (offsets <= self.size - 16)
        if not inside.any():
            return np.full(len(offsets), -1), np.zeros((len(offsets), 2), np.uint32)
        content = np.memmap(self.path, np.uint8, "r")
        rows = content[np.where(inside, offsets, 0)[:, None] + np.arange(16)]
        words = rows.view("<u4")
        lengths = (words[:, 1] & _LENGTH).astype(np.int64)
        whole = inside & (words[:, 0] == MAGIC) & (words[:, 1] >> 29 == _WHOLE)
        whole &= (lengths <= MAX_LENGTH) & (offsets + HEAD.size + lengths <= self.size)
        return np.where(whole, lengths, -1), words[:, 2:]

    def _damaged(self, offset: int, reason: str) -> DataError:
        return DataError(
            f"{self.path}, byte {offset}: {reason}; the file is damaged or truncated, copy it again"
        )


class RecordWriter:
    """Sequential writer of records to an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, payload: bytes) -> int:
        """Append `payload`, split at magic numbers in it, and return the offset of the record.

        >>> import io
        >>> file = io.BytesIO()
        >>> RecordWriter(file).write(b"face"), len(file.getvalue())
        (0, 12)
        """
        if len(payload) > MAX_LENGTH:
            raise ValueError(f"payload: got {len(payload)} bytes, expected {MAX_LENGTH} at most")
        offset = self._file.tell()
        pieces = _pieces(payload)
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            part = (_LAST if last else _MIDDLE) if number else (_WHOLE if last else _FIRST)
            self._file.write(HEAD.pack(MAGIC, part << 29 | len(piece)))
            self._file.write(piece + bytes(-len(piece) % 4))
        return offset


def _pieces(payload: bytes) -> list[bytes]:
    """Split the payload at every magic number whose position is a multiple of four bytes."""
    pieces, start = [], 0
    position = payload.find(_MAGIC)
    while position >= 0:
        if position % 4 == 0:
            pieces.append(payload[start:position])
            start = position + len(_MAGIC)
            position = payload.find(_MAGIC, start)
        else:
            position = payload.find(_MAGIC, position + 1)
    return [*pieces, payload[start:]]


def read_index(path: Path) -> tuple[Offsets, Offsets]:
    """Read keys (N,), ascending, and offsets (N,) of records, from lines ``key<TAB>offset``.

    Raises `DataError` with the line number for an invalid line or a duplicate key.
    """
    import pyarrow
    from pyarrow import csv

    names = ("key", "offset")
    integers = dict.fromkeys(names, pyarrow.int64())
    try:
        table = csv.read_csv(
            path,
            csv.ReadOptions(column_names=names),
            csv.ParseOptions(delimiter="\t", ignore_empty_lines=False),
            csv.ConvertOptions(column_types=integers, null_values=[], strings_can_be_null=False),
        )
        keys, offsets = (np.array(table[name].to_numpy()) for name in names)
    except (pyarrow.ArrowInvalid, OSError):
        keys, offsets = _read_lines(path)  # spaces for the tab, or an error with its line
    if (keys[1:] <= keys[:-1]).any():
        order = keys.argsort(kind="stable")
        keys, offsets = keys[order], offsets[order]
        if (keys[1:] == keys[:-1]).any():
            _read_lines(path)
    return keys, offsets


def _read_lines(path: Path) -> tuple[Offsets, Offsets]:
    offsets: dict[int, int] = {}
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, start=1):
                try:
                    key, offset = map(int, line.split())
                except ValueError as cause:
                    raise DataError(
                        f"{path}:{number}: got {line.strip()!r}, expected a key and an offset"
                    ) from cause
                if key in offsets:
                    raise DataError(f"{path}:{number}: the key {key} is already listed")
                offsets[key] = offset
    except OSError as cause:
        raise DataError(f"{path}: cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: is not an index: {cause}") from cause
    if not offsets:
        raise DataError(f"{path}: is empty; expected lines of a key and an offset")
    return np.array([*offsets]), np.array([*offsets.values()])
