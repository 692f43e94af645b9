"""Geometry that all maps share: a pixel of a transformed map is a pixel of the map."""

import attrs
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.targets.geometry import Box, Size, crop_map, rotate_map


@attrs.frozen(kw_only=True)
class MapTarget(Target):
    """A target with labels for each pixel of the input, (..., H, W)."""

    def flip(self, labels: Tensor, frame: Size) -> Tensor:
        _require_frame(labels, frame)
        return labels.flip(-1)

    def crop(
        self, labels: Tensor, frame: Size, box: Box, size: Size, *, zoom: float = 1.0
    ) -> Tensor:
        _require_frame(labels, frame)
        return crop_map(labels, box, size, self.missing)

    def rotate(self, labels: Tensor, frame: Size, degrees: float) -> Tensor:
        _require_frame(labels, frame)
        return rotate_map(labels, degrees, self.missing)


def _require_frame(labels: Tensor, frame: Size) -> None:
    height, width = labels.shape[-2:]
    if (height, width) != frame:
        raise DataError(
            f"transforms: got a map of {height} x {width} labels for an input of {frame[0]} x "
            f"{frame[1]} pixels, expected one label for each pixel; resize the maps of the data "
            f"source"
        )
