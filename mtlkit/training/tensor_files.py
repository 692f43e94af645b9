"""Files of tensors in the safetensors format, written in pieces and read by rows.

The library `safetensors` copies all tensors of a file that are on a GPU or not contiguous before it
writes them. Here at most a piece is copied. The checksum of a large file is computed while the disk
syncs it, and so takes no time. Source of the format:
https://huggingface.co/docs/safetensors#format
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from mtlkit.checksums import RunningChecksum
from mtlkit.errors import RunError

PIECE = 16 * 1024**2
"""Largest number of bytes that are copied at a time, unless a single row is larger."""

LARGE = 8 * 1024**2
"""Size above which a thread syncs a file; below, its start takes longer than the checksum."""

DTYPES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fn: "F8_E4M3", torch.int16: "I16", torch.uint16: "U16",
    torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.uint32: "U32",
    torch.float32: "F32", torch.complex64: "C64", torch.float64: "F64", torch.int64: "I64",
    torch.uint64: "U64",
}  # fmt: skip
"""Names of types in the format, in the order in which the library writes them, last first."""


def pieces(tensor: Tensor) -> Iterator[Tensor]:
    """Yield consecutive views of the rows of `tensor`, of at most `PIECE` bytes or one row.

    >>> [len(piece) for piece in pieces(torch.zeros(3, 2**21))]
    [2, 1]
    """
    if tensor.dim() == 0 or tensor.nbytes <= PIECE:
        yield tensor
    else:
        yield from torch.split(tensor, max(1, PIECE * len(tensor) // tensor.nbytes))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write `tensors` to the new file `path`, sync it, and return its checksum.

    The bytes are those that `safetensors.torch.save` returns. Raises `RunError` for a type that the
    format lacks, and the errors of the file system.
    """
    order = {dtype: number for number, dtype in enumerate(DTYPES)}
    for name, tensor in tensors.items():
        if tensor.dtype not in order or tensor.layout is not torch.strided:
            raise RunError(
                f"{name}: got a tensor of {tensor.dtype} and {tensor.layout}, which a file cannot "
                f"hold; keep state in dense tensors of another type"
            )
    # the largest types first, so that every tensor is aligned
    names = sorted(tensors, key=lambda name: (-order[tensors[name].dtype], name))
    entries, size = {}, 0
    for name in names:
        tensor, start = tensors[name], size
        size += tensor.nbytes
        shape = list(tensor.shape)
        dtype = DTYPES[tensor.dtype]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, size]}
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    digest = RunningChecksum()
    waiting: list[bytes | memoryview] = []  # whose checksum is computed later
    with path.open("wb") as file, ThreadPoolExecutor(1) as pool:
        for content, lasting in _contents(header, (tensors[name] for name in names)):
            file.write(content)
            waiting.append(content)
            if not lasting:  # so that one copy is in memory at a time
                for part in waiting:
                    digest.update(part)
                waiting.clear()
        file.flush()
        synced = pool.submit(os.fsync, file.fileno()) if size > LARGE else None
        for part in waiting:
            digest.update(part)
        os.fsync(file.fileno()) if synced is None else synced.result()
    return digest.hexdigest()


def _contents(
    header: bytes, tensors: Iterable[Tensor]
) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Yield the bytes of a file in order; True for those that are in memory anyway, not a copy."""
    yield len(header).to_bytes(8, "little") + header, True
    for tensor in tensors:
        for piece in pieces(tensor.detach()):
            whole = piece.cpu().contiguous()
            content = whole.reshape(-1).view(torch.uint8).numpy().data
            yield content, whole.data_ptr() == piece.data_ptr()


class StoredTensors(Mapping[str, Tensor]):
    """Tensors in files, which are read on access; some are divided by rows among the files.

    `files` are pairs of a path, and the first row of each divided tensor in it, by name. Keeps the
    files open.
    """

    def __init__(self, files: Iterable[tuple[Path, Mapping[str, int]]]) -> None:
        self._parts: dict[str, list[tuple[int, Any]]] = {}  # first row, and the part in its file
        for path, starts in files:
            file: Any = safe_open(path, "pt")
            for name in file.keys():  # noqa: SIM118  # not a mapping
                part = (starts.get(name, 0), file.get_slice(name))
                self._parts.setdefault(name, []).append(part)
        for parts in self._parts.values():
            parts.sort(key=lambda part: part[0])

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __getitem__(self, name: str) -> Tensor:
        """Return the whole tensor."""
        whole = [part[...] for _, part in self._parts[name]]
        return whole[0] if len(whole) == 1 else torch.cat(whole)

    def shape(self, name: str) -> torch.Size:
        """Return the shape of the whole tensor."""
        start, last = self._parts[name][-1]
        shape = torch.Size(last.get_shape())
        return torch.Size((start + shape[0], *shape[1:])) if start else shape

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Return the rows `start` to `stop` of a tensor, from the files that hold some of them."""
        parts = self._parts[name]
        selected = [
            part[max(start - first, 0) : stop - first]
            for first, part in parts
            if first < stop and start < first + part.get_shape()[0]
        ]
        return torch.cat(selected) if len(selected) > 1 else (selected or [parts[0][1][:0]])[0]
