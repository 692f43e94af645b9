"""Reading a pickle from elsewhere that may hold bytes, lists, tuples, truth values, nothing more.

A pickle is a program. Two guards stand before this one is run: every instruction is looked at
first, and only those that make plain values, or name one of `ADMITTED`, are let through; then the
unpickler itself maps each admitted name to a value of ours that keeps bytes and calls nothing.
So no function that a file names is ever called, neither numpy's nor Python's.
"""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from mtlkit.plugins import DataError

MOST_BYTES = 4 * 1024**3
"""A larger file is refused; the largest known set of pairs has less than a tenth of it."""

MOST_SHOWN = 40
"""A longer text of a file is not repeated in a message."""

_PLAIN = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "POP", "POP_MARK", "DUP",
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
})  # fmt: skip
_PLACES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class StoredArray:
    """An array of bytes or truth values as numpy pickles one: raw bytes, and its type's name."""

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
        """The byte order and what else a type of one byte does not need."""

    def __eq__(self, other: object) -> bool:
        return self.name == other

    __hash__ = None  # type: ignore[assignment]


def named(value: object) -> str:
    """A value of a pickle in a message: a short text as it is, of anything else its type alone.

    Nested tuples share their parts: written out, they double with every two bytes of the file.
    """
    if isinstance(value, str | bytes) and len(value) <= MOST_SHOWN:
        return repr(value)
    return type(value).__name__


def _encoded(text: str, encoding: str | bytes = "latin1") -> bytes:
    """How protocols 0 to 2 write bytes: as text of the same code points."""
    if encoding not in ("latin1", b"latin1", "latin-1", b"latin-1"):
        raise DataError(f"asks for bytes in the encoding {named(encoding)}; expected latin1")
    return text.encode("latin1")


def _array(*_: object) -> StoredArray:
    return StoredArray()


def _from_buffer(buffer: bytes, kind: object, *_: object) -> StoredArray:
    if not isinstance(buffer, bytes | bytearray):  # a number would be as many bytes of memory
        raise DataError(f"makes an array of a {type(buffer).__name__}; expected bytes")
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
"""Every name that a file may use, and the harmless stand-in that it gets."""


def read_guarded(path: Path) -> object:
    """The value pickled in `path`; `DataError` where it is damaged or asks for anything else."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{path}: has {size:,} bytes; expected at most {MOST_BYTES:,}")
        with path.open("rb") as stream:
            _look_through(path, _Bounded(stream, size))
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
    except Exception as cause:  # a damaged pickle makes its reader raise nearly anything
        raise DataError(
            f"{path}: is no whole pickle ({type(cause).__name__}: {cause}); expected a set of "
            f"pairs. Copy it again"
        ) from cause


class _Bounded:
    """A file that is never asked for more than it has: a length in it may be a lie."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def read(self, count: int = -1) -> bytes:
        if count > self._size - self._stream.tell():
            raise EOFError(f"{count:,} bytes are announced where fewer are left")
        return self._stream.read(count)

    def readline(self) -> bytes:
        return self._stream.readline()

    def tell(self) -> int:
        return self._stream.tell()


def _look_through(path: Path, stream: Any) -> None:
    """Refuse an instruction that makes anything but plain values, before any is carried out."""
    for step, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
        if opcode.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            _admit(path, module, name)
        elif opcode.name not in _PLAIN:
            raise DataError(
                f"{path}: byte {position}: the pickle instruction {opcode.name} makes more than "
                f"bytes and lists. Nothing of the file was run; do not trust it"
            )
        elif opcode.name in _PLACES and argument is not None and argument > step:
            raise DataError(f"{path}: byte {position}: numbers a value {argument}, of {step}")


def _admit(path: Path, module: str, name: str) -> Callable[..., Any]:
    found = ADMITTED.get((module, name))
    if found is None:
        raise DataError(
            f"{path}: asks for {module[:MOST_SHOWN]}.{name[:MOST_SHOWN]}, which a set of image "
            f"bytes has no use for. Nothing of it was run; do not trust the file, and get it from "
            f"its publisher"
        )
    return found


class _Guarded(pickle.Unpickler):
    """Knows the stand-ins of `ADMITTED` and no other name."""

    def __init__(self, path: Path, stream: Any) -> None:
        super().__init__(stream, encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        return _admit(self._path, module, name)
