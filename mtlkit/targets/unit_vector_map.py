"""A unit vector for each pixel, such as a surface normal."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.targets.colors import NO_LABEL
from mtlkit.targets.decoded import Decoded
from mtlkit.targets.geometry import Size, rotate_directions
from mtlkit.targets.maps import MapTarget

_TOLERANCE = 0.02
"""Accepted deviation of a length from 1; vectors are often stored in 8 bits."""


@attrs.frozen(kw_only=True)
class UnitVectorMapTarget(MapTarget):
    """A unit vector for each pixel (N, 3, H, W): x right, y down, z; all zero where there is none.

    The weight of a sample is its number of pixels with a vector.
    """

    noun = "a unit vector of each pixel"
    shape = "(N, 3, H, W)"
    dims = 4
    dtype = torch.float32
    missing = 0.0
    default_head = "normals"

    def present(self, labels: Tensor) -> Tensor:
        return (labels != 0).any(dim=1)

    def decode(self, predictions: Tensor, mask: Tensor | None = None) -> Decoded:
        return Decoded(maps=F.normalize(predictions, dim=1))

    def picture(self, labels: Tensor, like: Tensor) -> Tensor:
        present = self.present(labels.unsqueeze(0))[0].unsqueeze(-1)
        colors = ((labels.movedim(0, -1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return torch.where(present, colors, NO_LABEL)

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        if labels.shape[1] != 3:
            raise DataError(f"expected labels of shape {self.shape}, got {tuple(labels.shape)}")
        lengths = labels.norm(dim=1)[self.present(labels)]
        wrong = lengths[~((lengths - 1).abs() <= _TOLERANCE)]
        if len(wrong):
            raise DataError(
                f"expected vectors of length 1, or all zero for a pixel without one, got one of "
                f"length {float(wrong[0]):.4g}"
            )

    def flip(self, labels: Tensor, frame: Size) -> Tensor:
        x, y, z = super().flip(labels, frame)
        return torch.stack([-x, y, z])

    def rotate(self, labels: Tensor, frame: Size, degrees: float) -> Tensor:
        x, y, z = super().rotate(labels, frame, degrees)
        return torch.stack([*rotate_directions(x, y, degrees), z])
