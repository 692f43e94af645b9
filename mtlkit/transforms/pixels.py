"""Checks of transforms that change colors."""

import torch
from torch import Tensor

from mtlkit.errors import DataError


def require_pixels(place: str, image: Tensor) -> None:
    """Raise `DataError` unless `image` is an 8-bit gray or RGB image (C, H, W)."""
    if image.dtype != torch.uint8 or image.dim() != 3 or len(image) not in (1, 3):
        dtype = str(image.dtype).removeprefix("torch.")
        raise DataError(
            f"transforms: {place}: got {dtype} of shape {tuple(image.shape)}, expected an 8-bit "
            f"image of 1 or 3 channels; leave it out"
        )
