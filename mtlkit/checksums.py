"""Checksums of files, tensors and JSON objects, which detect damage and edits by hand.

The checksum is XXH3 with 128 bits: it detects damage at the speed of memory, and does not protect
against an attacker. Source: xxHash, https://github.com/Cyan4973/xxHash.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xxhash

KEY = "checksum"
"""The key of a JSON object under which its checksum is stored."""

CHUNK = 1024**2
"""Number of bytes of a file that are read at a time."""


RunningChecksum = xxhash.xxh3_128
"""The checksum of the bytes that `update` adds one after the other; `hexdigest` returns it."""


def checksum(parts: Iterable[bytes | bytearray | memoryview]) -> str:
    """Return the checksum of the concatenated `parts`.

    >>> checksum([b"ab", b"c"]) == checksum([b"abc"])
    True
    """
    digest = RunningChecksum()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def file_checksum(path: Path, size: int | None = None) -> str:
    """Return the checksum of the file at `path`, or of its first `size` bytes."""
    with path.open("rb") as file:
        return checksum(_chunks(file, size))


def _chunks(file: Any, size: int | None) -> Iterable[bytes]:
    left = size
    while chunk := file.read(CHUNK if left is None else min(CHUNK, left)):
        if left is not None:
            left -= len(chunk)
        yield chunk


def sealed(value: Mapping[str, Any], *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return `value` as JSON text that ends with its checksum; `ValueError` for NaN.

    >>> sealed({"step": 3})
    '{"step": 3, "checksum": "92a20584467c4590c9e2a8ce6833e187"}'
    """
    whole = {**value, KEY: _of_json(value)}
    return json.dumps(whole, indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def unsealed(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that `sealed` wrote; `ValueError` if it is not what was written.

    >>> unsealed(sealed({"step": 3}))
    {'step': 3}
    >>> unsealed(sealed({"step": 3}).replace("3", "4", 1))
    Traceback (most recent call last):
    ValueError: its checksum does not match, so it was damaged or edited
    """
    try:
        value = json.loads(text)
    except RecursionError as cause:
        raise ValueError("its values are nested too deeply") from cause
    except ValueError as cause:
        raise ValueError(f"it holds no JSON: {cause}") from cause
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    recorded = value.pop(KEY, None)
    if recorded is None:
        raise ValueError("it has no checksum, so it was not written by mtlkit or was edited")
    if recorded != _of_json(value):
        raise ValueError("its checksum does not match, so it was damaged or edited")
    return value


def _of_json(value: Mapping[str, Any]) -> str:
    # equal for a value and for what JSON makes of it: tuples are lists, keys are text
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return checksum([text.encode()])
