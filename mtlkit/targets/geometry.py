"""Geometry of one sample: boxes of pixels, and nearest-neighbor sampling of maps.

A pixel is a square with its center at whole coordinates, x right and y down, so the frame of a map
of width W is from -0.5 to W - 0.5. Codes of classes and NaN must not be interpolated, so each pixel
of the result is a pixel of the map, or missing.
"""

import math

import attrs
import torch
from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""


@attrs.frozen
class Box:
    """A rectangle of pixels; the part outside the frame is missing.

    >>> Box.of((4, 6)), Box(1, 2, 2, 3).size
    (Box(top=0, left=0, height=4, width=6), (2, 3))
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, frame: Size) -> "Box":
        """Return the box of the whole frame."""
        return cls(0, 0, *frame)

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.height, self.width


def crop_map(values: Tensor, box: Box, size: Size, missing: float) -> Tensor:
    """Return the pixels (..., h, w) of `values` (..., H, W) in `box`, resized to `size`.

    >>> crop_map(torch.arange(4).reshape(2, 2), Box(0, 1, 2, 2), (2, 2), -1).tolist()
    [[1, -1], [3, -1]]
    """
    rows = _nearest(box.top, box.height, size[0])
    columns = _nearest(box.left, box.width, size[1])
    return _sample(values, rows.unsqueeze(1), columns.unsqueeze(0), missing)


def rotate_map(values: Tensor, degrees: float, missing: float) -> Tensor:
    """Return `values` (..., H, W) turned counterclockwise about the center, in the same frame.

    >>> rotate_map(torch.tensor([[1, 2], [3, 4]]), 90, -1).tolist()
    [[2, 4], [1, 3]]
    """
    height, width = values.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = rotate_points(x.double(), y.double(), (height, width), -degrees)
    return _sample(values, _round(y), _round(x), missing)


def rotate_points(x: Tensor, y: Tensor, frame: Size, degrees: float) -> tuple[Tensor, Tensor]:
    """Return points turned counterclockwise, as seen, about the center of the frame."""
    center_y, center_x = ((side - 1) / 2 for side in frame)
    x, y = rotate_directions(x - center_x, y - center_y, degrees)
    return x + center_x, y + center_y


def rotate_directions(x: Tensor, y: Tensor, degrees: float) -> tuple[Tensor, Tensor]:
    """Return directions (x right, y down) turned counterclockwise, as seen."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return x * cosine + y * sine, y * cosine - x * sine


def _nearest(start: int, length: int, count: int) -> Tensor:
    """Return the pixels (count,) whose centers are nearest to those of `count` resized ones."""
    return start + ((torch.arange(count) + 0.5) * length / count).floor().long()


def _round(positions: Tensor) -> Tensor:
    # a center that rounding errors moved must not fall on another side of an edge
    return (positions + 0.5 - 1e-6).floor().long()


def _sample(values: Tensor, rows: Tensor, columns: Tensor, missing: float) -> Tensor:
    """Return ``values[..., rows, columns]``, or `missing` outside the frame."""
    height, width = values.shape[-2:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    picked = values[..., rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    return torch.where(inside, picked, torch.tensor(missing, dtype=values.dtype))
