"""The augmentation of the published tables of NYUv2 and Cityscapes: a zoom of a random crop.

Paper: Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning with
Attention", CVPR 2019 (the augmentation of the authors' code).
"""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data import Draw, RealMapTarget, Sample, Target, Transform, UnitVectorMapTarget
from mtlkit.plugins import DataError, at_least_number, each, nonempty


@attrs.frozen(kw_only=True)
class ZoomCrop(Transform):
    """Cut a box out, smaller by one of the factors `scales`, and resize it to the frame.

    Images and unit vectors are interpolated bilinearly with aligned corners. Vectors are normalized
    again; with `normalize` off, as in the published code, some are shorter than 1. Other labels
    take the nearest pixel. A depth is divided by the factor, and a disparity multiplied.
    """

    scales: tuple[float, ...] = attrs.field(
        default=(1.0, 1.2, 1.5), validator=nonempty(each(at_least_number(1)))
    )
    normalize: bool = True

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        scale = self.scales[draw.integer(0, len(self.scales) - 1)]
        height, width = sample.frame
        rows, columns = int(height / scale), int(width / scale)
        top, left = draw.integer(0, height - rows), draw.integer(0, width - columns)

        def cut(values: Tensor) -> Tensor:
            return values[..., top : top + rows, left : left + columns]

        def zoomed(target: Target, values: Tensor) -> Tensor:
            if target.dims < 3:
                return values
            if values.shape[-2:] != (height, width):
                raise DataError(
                    f"transforms: zoom-crop: got labels of {tuple(values.shape)}, expected the "
                    f"size of the image, {height} x {width}"
                )
            if isinstance(target, UnitVectorMapTarget):
                vectors = bilinear(cut(values), (height, width))
                return F.normalize(vectors, dim=0) if self.normalize else vectors
            resized = nearest(cut(values), (height, width))
            if isinstance(target, RealMapTarget) and target.quantity != "value":
                return resized * (1 / scale if target.quantity == "depth" else scale)
            return resized

        pictures = sample.with_images(lambda image: bilinear(cut(image), (height, width)))
        return pictures.with_labels(zoomed)


def bilinear(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (C, H, W) resized to `size` with aligned corners; bytes are rounded."""
    maps = F.interpolate(
        values.unsqueeze(0).float(), size=size, mode="bilinear", align_corners=True
    )[0]
    return maps.round().to(values.dtype) if values.dtype == torch.uint8 else maps


def nearest(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (..., H, W) resized to `size`: pixel i is the one at floor(i H / size)."""
    maps = values.reshape(1, -1, *values.shape[-2:]).double()
    resized = F.interpolate(maps, size=size, mode="nearest")
    return resized.reshape(*values.shape[:-2], *size).to(values.dtype)
