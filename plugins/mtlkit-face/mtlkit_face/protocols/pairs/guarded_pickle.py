"""Reader of untrusted pickles that may contain bytes, lists, tuples and truth values only.

A pickle is a program. Two checks restrict it: before it is run, every instruction must create plain
values or name one of `ADMITTED`; then the unpickler maps each admitted name to a stand-in that
stores bytes and calls nothing. No function named by a file is ever called, whether of numpy or
Python.
"""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from mtlkit.plugins import DataError

MAX_BYTES = 4 * 1024**3
"""The largest file accepted; known sets of pairs have less than a tenth of it."""

MAX_SHOWN = 40
"""The longest text of a file that is repeated in an error."""

_PLAIN = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "POP", "POP_MARK", "DUP",
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
})  # fmt: skip
_MEMO_WRITES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class StoredArray:
    """A pickled numpy array of bytes or truth values: raw bytes, and its type's name."""

    def __init__(self, raw: bytes = b"", kind: object = "") -> None:
        self.raw = raw
        self.kind = kind

    def __setstate__(self, state: Any) -> None:
        _, _, self.kind, _, self.raw = state


class _Kind:
    """A numpy type by its name: ``u1``, ``b1``."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name = name.decode() if isinstance(name, bytes) else name

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order and other state, which a type of one byte does not need."""

    def __eq__(self, other: object) -> bool:
        return self.name == other

    __hash__ = None  # type: ignore[assignment]


def named(value: object) -> str:
    """Return a value of a pickle for an error: a short text itself, of anything else the type.

    Nested tuples share their parts, so their text can double with every two bytes of the file.
    """
    if isinstance(value, str | bytes) and len(value) <= MAX_SHOWN:
        return repr(value)
    return type(value).__name__


def _encoded(text: str, encoding: str | bytes = "latin1") -> bytes:
    """Return bytes from text of the same code points, as protocols 0 to 2 write them."""
    if encoding not in ("latin1", b"latin1", "latin-1", b"latin-1"):
        raise DataError(f"has bytes in the encoding {named(encoding)}; expected latin1")
    return text.encode("latin1")


def _array(*_: object) -> StoredArray:
    return StoredArray()


def _from_buffer(buffer: bytes, kind: object, *_: object) -> StoredArray:
    if not isinstance(buffer, bytes | bytearray):  # a number would allocate as many bytes
        raise DataError(f"has an array made of a {type(buffer).__name__}; expected bytes")
    return StoredArray(bytes(buffer), kind)


ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encoded,
    ("numpy", "ndarray"): StoredArray,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
}
"""The names that a file may use, and their harmless stand-ins."""


def read_guarded(path: Path) -> object:
    """Return the value pickled in `path`; raises `DataError` if it is damaged or not admitted."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: has {size:,} bytes; expected at most {MAX_BYTES:,}")
        with path.open("rb") as stream:
            _check_instructions(path, _Bounded(stream, size))
            stream.seek(0)
            return _Guarded(path, _Bounded(stream, size)).load()
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(
            f"{path}: is missing; expected a set of pairs. Correct the option `file` (a relative "
            f"path starts from the working directory)"
        ) from None
    except OSError as cause:
        raise DataError(f"{path}: cannot be read: {cause.strerror or cause}") from cause
    except Exception as cause:  # unpickling raises nearly anything on damaged files
        raise DataError(
            f"{path}: is not a complete pickle ({type(cause).__name__}: {cause}); expected a set "
            f"of pairs. Copy it again"
        ) from cause


class _Bounded:
    """A file whose reads are limited to its size, since lengths in it may be wrong."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def read(self, count: int = -1) -> bytes:
        if count > self._size - self._stream.tell():
            raise EOFError(f"{count:,} bytes are announced but fewer are left")
        return self._stream.read(count)

    def readline(self) -> bytes:
        return self._stream.readline()

    def tell(self) -> int:
        return self._stream.tell()


def _check_instructions(path: Path, stream: Any) -> None:
    """Raise `DataError` for an instruction not admitted, before any is executed."""
    for step, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
        if opcode.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            _admit(path, module, name)
        elif opcode.name not in _PLAIN:
            raise DataError(
                f"{path}: byte {position}: the pickle instruction {opcode.name} creates more "
                f"than bytes and lists. Nothing was executed; do not trust the file"
            )
        elif opcode.name in _MEMO_WRITES and argument is not None and argument > step:
            raise DataError(
                f"{path}: byte {position}: stores a value as number {argument}, of {step}"
            )


def _admit(path: Path, module: str, name: str) -> Callable[..., Any]:
    stand_in = ADMITTED.get((module, name))
    if stand_in is None:
        raise DataError(
            f"{path}: names {module[:MAX_SHOWN]}.{name[:MAX_SHOWN]}, which a set of image bytes "
            f"does not need. Nothing was executed; do not trust the file, and download it from its "
            f"publisher"
        )
    return stand_in


class _Guarded(pickle.Unpickler):
    """An unpickler that resolves the names of `ADMITTED` only."""

    def __init__(self, path: Path, stream: Any) -> None:
        super().__init__(stream, encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        return _admit(self._path, module, name)
