"""RecordIO, the container of MXNet, read and written without MXNet.

A file is a row of records, each a magic number, a word with the length and what part it is, the
payload, and zeros up to a multiple of four bytes. A payload in which the magic number stands at a
multiple of four is cut there into parts, so that a reader who has lost its way finds the next
record. Source of the format: ``recordio.h`` of dmlc-core.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from mtlkit.plugins import DataError

MAGIC = 0xCED7230A
HEAD = struct.Struct("<II")
LONGEST = 64 * 1024**2
"""Bytes that a record may have: an image is far below, and a damaged length is far above."""

_MAGIC = struct.pack("<I", MAGIC)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_LENGTH = 2**29 - 1


@attrs.frozen(eq=False)
class RecordFile:
    """A RecordIO file of `size` bytes, opened anew for each record.

    No handle is kept: threads and processes may read at once, and nothing is mapped into memory.
    """

    path: Path
    size: int

    @classmethod
    def open(cls, path: Path) -> "RecordFile":
        """The file at `path`; `DataError` where it cannot be read, or is empty."""
        try:
            size = path.stat().st_size
        except OSError as cause:
            raise DataError(f"{path}: cannot be read: {cause.strerror}") from cause
        if size == 0:
            raise DataError(f"{path}: is empty (0 bytes); expected a RecordIO file")
        return cls(path, size)

    def read(self, offset: int, most: int | None = None) -> bytes:
        """The payload of the record at the byte `offset`, of a whole one the first `most` bytes.

        Raises `DataError` with the offset where there is no record, or one cut short.
        """
        with self._opened() as file:
            return self._record(file, offset, most)[0]

    def end(self, offset: int) -> int:
        """The byte after the record at `offset`."""
        with self._opened() as file:
            return self._record(file, offset, 0)[1]

    def records(self, most: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The offset and payload of every record, from the first to the last."""
        offset = 0
        with self._opened() as file:
            while offset < self.size:
                payload, end = self._record(file, offset, most)
                yield offset, payload
                offset = end

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as cause:
            raise DataError(f"{self.path}: cannot be read: {cause.strerror}") from cause

    def _record(self, file: BinaryIO, offset: int, most: int | None) -> tuple[bytes, int]:
        """The payload, or its beginning, and the byte after the record."""
        part, length, end = self._head(file, offset)
        if part == _WHOLE:
            return file.read(length if most is None else min(most, length)), end
        if part != _FIRST:
            raise self._damaged(offset, "expected the beginning of a record, found a later part")
        pieces = [file.read(length)]
        while part != _LAST:
            start = end
            part, length, end = self._head(file, start)
            if part not in (_MIDDLE, _LAST):
                raise self._damaged(start, "expected a further part of a record, found a new one")
            pieces += [_MAGIC, file.read(length)]
            if end - offset > LONGEST:
                raise self._damaged(offset, f"the parts of a record exceed {LONGEST} bytes")
        return b"".join(pieces), end

    def _head(self, file: BinaryIO, offset: int) -> tuple[int, int, int]:
        """Which part begins at `offset`, its length, and the byte after it and its padding."""
        if not 0 <= offset <= self.size - HEAD.size:
            raise self._damaged(offset, f"expected a record, but the file has {self.size} bytes")
        file.seek(offset)
        magic, word = HEAD.unpack(file.read(HEAD.size))
        if magic != MAGIC:
            raise self._damaged(
                offset, f"expected the mark {MAGIC:08x} of a record, found {magic:08x}"
            )
        part, length = word >> 29, word & _LENGTH
        if part > _LAST:
            raise self._damaged(offset, f"expected a part 0 to 3 of a record, found {part}")
        if length > LONGEST:
            raise self._damaged(offset, f"a record of {length} bytes; expected {LONGEST} at most")
        end = offset + HEAD.size + length + -length % 4
        if end > self.size:
            raise self._damaged(
                offset, f"a record of {length} bytes, but the file ends at {self.size}"
            )
        return part, length, end

    def _damaged(self, offset: int, what: str) -> DataError:
        return DataError(
            f"{self.path}, byte {offset}: {what}. The file is damaged, or cut short; copy it anew"
        )


class RecordWriter:
    """Writes records to an opened file, one after another."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, payload: bytes) -> int:
        """Append `payload`, in parts where the magic number stands in it; gives its offset.

        >>> import io
        >>> file = io.BytesIO()
        >>> RecordWriter(file).write(b"face"), len(file.getvalue())
        (0, 12)
        """
        if len(payload) > LONGEST:
            raise ValueError(f"payload: {len(payload)} bytes; expected {LONGEST} at most")
        offset = self._file.tell()
        pieces = _pieces(payload)
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            part = (_LAST if last else _MIDDLE) if number else (_WHOLE if last else _FIRST)
            self._file.write(HEAD.pack(MAGIC, part << 29 | len(piece)))
            self._file.write(piece + bytes(-len(piece) % 4))
        return offset


def _pieces(payload: bytes) -> list[bytes]:
    """The payload cut at every magic number that stands at a multiple of four bytes."""
    pieces, start = [], 0
    at = payload.find(_MAGIC)
    while at >= 0:
        if at % 4 == 0:
            pieces.append(payload[start:at])
            start = at + len(_MAGIC)
            at = payload.find(_MAGIC, start)
        else:
            at = payload.find(_MAGIC, at + 1)
    return [*pieces, payload[start:]]


def read_index(path: Path) -> dict[int, int]:
    """The offset of each record by its key: lines ``key<TAB>offset``.

    Raises `DataError` with the line where it is no index, or a key stands twice.
    """
    offsets: dict[int, int] = {}
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, start=1):
                try:
                    key, offset = map(int, line.split())
                except ValueError as cause:
                    raise DataError(
                        f"{path}:{number}: expected a key and an offset, found {line.strip()!r}"
                    ) from cause
                if key in offsets:
                    raise DataError(f"{path}:{number}: the key {key} was already listed")
                offsets[key] = offset
    except OSError as cause:
        raise DataError(f"{path}: cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: is no index: {cause}") from cause
    if not offsets:
        raise DataError(f"{path}: is empty; expected lines of a key and an offset")
    return offsets
