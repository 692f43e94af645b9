"""Encoded face images in files, decoded whenever they are asked for."""

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

PORTION = 256
"""Images handed to the threads at a time, which bounds what waits in memory."""

SHOWN = 10
"""How many faults a message names before it only counts them."""

Pixels = npt.NDArray[np.uint8]


class Store(Protocol):
    """Encoded images by position."""

    def __len__(self) -> int:
        """How many images there are, N."""

    def read(self, position: int, /) -> bytes:
        """The encoded image at `position`; `DataError` says what is wrong with it."""

    def place(self, position: int, /) -> str:
        """Where the image at `position` is, for messages."""


@attrs.frozen(eq=False)
class FileStore:
    """Images that are files: `names` are relative to `folder`."""

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
    """The images (N, C, H, W) of a store at `positions` (N,), mirrored where `mirrored` (N,)."""

    store: Store
    positions: npt.NDArray[np.intp]
    mirrored: npt.NDArray[np.bool_]
    frame: Frame
    workers: int

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        def one(place: int) -> Pixels:
            position = int(self.positions[place])
            try:
                pixels = _decoded(self.store, position, self.frame)
            except DataError as cause:
                raise DataError(f"{self.store.place(position)}: {cause}") from cause
            return pixels[..., ::-1] if self.mirrored[place] else pixels

        with ThreadPoolExecutor(self.workers) as pool:
            return torch.from_numpy(np.stack(list(pool.map(one, index.tolist()))))


def faults(store: Store, frame: Frame, loading: Loading) -> dict[int, str]:
    """Why images cannot be used, by position: each is decoded once, and let go.

    A photograph that is not square, for it is not yet aligned, is a fault: it would be squeezed.
    """

    def one(position: int) -> str | None:
        try:
            _decoded(store, position, frame)
        except DataError as cause:
            return str(cause)
        return None

    found: dict[int, str] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(threads(loading)) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for portion in portions(len(store)):
            for position, fault in zip(portion, pool.map(one, portion), strict=True):
                if fault is not None:
                    found[position] = fault
            loading.progress("checking images", portion.stop, len(store))
    return found


def _decoded(store: Store, position: int, frame: Frame) -> Pixels:
    """The image at `position` as (C, H, W), of an image that is square as the frame is."""
    encoded = store.read(position)
    pixels = decode(encoded, frame)
    with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:  # reads the head only
        width, height = opened.size
    if width != height:
        raise DataError(
            f"is {width} x {height} pixels; expected a square, aligned face (`mtlkit face align`)"
        )
    return pixels


def portions(count: int, size: int = PORTION) -> Iterator[range]:
    """The numbers below `count`, some at a time.

    >>> list(portions(5, 2))
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def complaint(what: str, store: Store, found: dict[int, str]) -> str:
    """All that is wrong with the images of `what`, one to a line."""
    lines = [f"{what}: {len(found)} of {len(store)} images cannot be used:"]
    lines += [f"  {store.place(at)}: {fault}" for at, fault in [*found.items()][:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    return "\n".join(lines)
