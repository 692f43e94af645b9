"""Colors of classes and numbers, for pictures of labels."""

import torch
from torch import Tensor

NO_LABEL = torch.tensor([255, 255, 255], dtype=torch.uint8)
"""Color of a pixel without a label: white."""

_SCALE = torch.tensor(
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=torch.float32
)
"""Anchors of the scale of numbers, from the lowest to the highest; its lightness only rises."""


def class_colors(count: int) -> Tensor:
    """Return a different color (K, 3) for each of `count` classes, in bytes; none is white.

    Each class sets the bits of its number in the three channels, from the highest bit down.

    >>> class_colors(3).tolist()
    [[128, 0, 0], [0, 128, 0], [128, 128, 0]]
    """
    codes = torch.arange(1, count + 1)
    channels = [
        sum(((codes >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8))
        for channel in range(3)
    ]
    return torch.stack([torch.as_tensor(part) for part in channels], dim=1).to(torch.uint8)


def number_colors(values: Tensor, low: float, high: float) -> Tensor:
    """Return the colors (..., 3) of `values` on a scale from `low` to `high`, in bytes.

    >>> number_colors(torch.tensor([0.0, 5.0]), 0.0, 1.0).tolist()
    [[68, 1, 84], [253, 231, 37]]
    """
    place = ((values - low) / max(high - low, 1e-12)).nan_to_num().clamp(0, 1) * (len(_SCALE) - 1)
    left = place.floor().long().clamp(max=len(_SCALE) - 2)
    share = (place - left).unsqueeze(-1)
    return (_SCALE[left] * (1 - share) + _SCALE[left + 1] * share).round().to(torch.uint8)
