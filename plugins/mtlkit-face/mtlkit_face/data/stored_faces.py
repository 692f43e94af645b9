"""Encoded face images in files, decoded on access."""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtlkit.data import Frame, Loading, Region, Store, StoredImages, read_images

CHUNK = 256
"""Number of images passed to the threads at a time, which bounds memory."""

MAX_SHOWN = 10
"""Maximum number of faults that a message lists."""

SQUARE = "aligned face (`mtlkit face align`)"
"""Name of the expected image; resizing one that is not square would distort it."""


@attrs.frozen(eq=False)
class StoredFaces:
    """Images (N, C, H, W) of a store, decoded on access, some of them `mirrored` (N,)."""

    images: StoredImages
    mirrored: npt.NDArray[np.bool_]

    @classmethod
    def at(
        cls,
        images: StoredImages,
        positions: npt.NDArray[np.integer],
        mirrored: npt.NDArray[np.bool_] | None = None,
    ) -> "StoredFaces":
        """Return the images at `positions` (N,) of the store; none is mirrored by default."""
        images = attrs.evolve(images, positions=torch.from_numpy(positions))
        return cls(images, np.zeros(len(positions), bool) if mirrored is None else mirrored)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        pixels = self.images[index]
        flipped = torch.from_numpy(self.mirrored[index.numpy()])
        if flipped.any():
            pixels[flipped] = pixels[flipped].flip(-1)
        return pixels

    def encoded_sizes(self) -> npt.NDArray[np.integer] | None:
        """Return the sizes (N,) of the images, if the store has them."""
        return self.images.encoded_sizes()


def find_faults(
    store: Store,
    frame: Frame,
    loading: Loading,
    regions: Sequence[Region | None] | None = None,
) -> dict[int, str]:
    """Decode every image once, and return the reasons why images cannot be used, by position."""
    return read_images(store, frame, loading, memory=0, regions=regions)[1]


def chunks(count: int, size: int = CHUNK) -> Iterator[range]:
    """Split the numbers below `count` into ranges of `size`.

    >>> list(chunks(5, 2))
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def fault_report(source: str, store: Store, faults: dict[int, str]) -> list[str]:
    """Return lines on the `faults` of the images of `source`."""
    lines = [f"{source}: {len(faults)} of {len(store)} images cannot be used:"]
    lines += [f"  {store.place(i)}: {fault}" for i, fault in [*faults.items()][:MAX_SHOWN]]
    if len(faults) > MAX_SHOWN:
        lines.append(f"  and {len(faults) - MAX_SHOWN} more")
    return lines
