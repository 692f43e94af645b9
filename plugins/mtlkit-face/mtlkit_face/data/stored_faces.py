"""Encoded face images in files, decoded on access."""

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from mtlkit.data import FORMATS, Frame, Loading, decode, threads
from mtlkit.plugins import DataError

CHUNK = 256
"""Number of images passed to the threads at a time, which bounds memory."""

MAX_SHOWN = 10
"""Maximum number of faults that a message lists."""

Pixels = npt.NDArray[np.uint8]


class Store(Protocol):
    """Encoded images by position."""

    def __len__(self) -> int:
        """Return the number of images N."""

    def read(self, position: int, /) -> bytes:
        """Return the encoded image at `position`; raises `DataError` if it cannot be read."""

    def place(self, position: int, /) -> str:
        """Return the location of the image at `position`, for messages."""


@attrs.frozen(eq=False)
class FileStore:
    """Images stored as files; `names` are relative to `folder`."""

    folder: Path
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, position: int, /) -> bytes:
        try:
            return (self.folder / self.names[position]).read_bytes()
        except OSError as cause:
            raise DataError(f"cannot be read: {cause.strerror or cause}") from cause

    def place(self, position: int, /) -> str:
        return str(self.folder / self.names[position])


@attrs.frozen(eq=False)
class StoredFaces:
    """Images (N, C, H, W) of a store at `positions` (N,), some of them `mirrored` (N,)."""

    store: Store
    positions: npt.NDArray[np.intp]
    mirrored: npt.NDArray[np.bool_]
    frame: Frame
    workers: int

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        def load(i: int) -> Pixels:
            position = int(self.positions[i])
            try:
                pixels = _decoded(self.store, position, self.frame)
            except DataError as cause:
                raise DataError(f"{self.store.place(position)}: {cause}") from cause
            return pixels[..., ::-1] if self.mirrored[i] else pixels

        with ThreadPoolExecutor(self.workers) as pool:
            return torch.from_numpy(np.stack(list(pool.map(load, index.tolist()))))


def find_faults(store: Store, frame: Frame, loading: Loading) -> dict[int, str]:
    """Decode every image once, and return the reasons why images cannot be used, by position.

    An image that is not square is a fault, since resizing would distort it.
    """

    def fault_of(position: int) -> str | None:
        try:
            _decoded(store, position, frame)
        except DataError as cause:
            return str(cause)
        return None

    faults: dict[int, str] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(threads(loading)) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for chunk in chunks(len(store)):
            for position, fault in zip(chunk, pool.map(fault_of, chunk), strict=True):
                if fault is not None:
                    faults[position] = fault
            loading.progress("checking images", chunk.stop, len(store))
    return faults


def _decoded(store: Store, position: int, frame: Frame) -> Pixels:
    """Decode the image at `position` as (C, H, W); raises `DataError` unless it is square."""
    encoded = store.read(position)
    pixels = decode(encoded, frame)
    with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:  # reads only the header
        width, height = opened.size
    if width != height:
        raise DataError(
            f"is {width} x {height} pixels; expected a square, aligned face (`mtlkit face align`)"
        )
    return pixels


def chunks(count: int, size: int = CHUNK) -> Iterator[range]:
    """Split the numbers below `count` into ranges of `size`.

    >>> list(chunks(5, 2))
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def fault_report(source: str, store: Store, faults: dict[int, str]) -> str:
    """Return a text on the `faults` of the images of `source`, one per line."""
    lines = [f"{source}: {len(faults)} of {len(store)} images cannot be used:"]
    lines += [f"  {store.place(i)}: {fault}" for i, fault in [*faults.items()][:MAX_SHOWN]]
    if len(faults) > MAX_SHOWN:
        lines.append(f"  and {len(faults) - MAX_SHOWN} more")
    return "\n".join(lines)
