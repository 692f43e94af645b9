"""Base class of heads of maps, whose outputs have the resolution of the labels."""

import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.errors import DataError
from mtlkit.features.maps import MapFeatures
from mtlkit.heads.base import HeadModule


class MapHead(HeadModule):
    """Maps features (N, C, H, W) by `layers` to maps at the resolution of the inputs.

    Maps of a stride above 1 are interpolated bilinearly.
    """

    def __init__(self, features: MapFeatures, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.stride = features.stride

    def maps(self, features: Tensor) -> Tensor:
        """Return the maps of the last layer (N, K, H, W) at the resolution of the inputs."""
        values: Tensor = self.layers(features)
        if self.stride == 1:
            return values
        return F.interpolate(values, scale_factor=self.stride, mode="bilinear")

    def require_size(self, outputs: Tensor, labels: Tensor) -> None:
        """Raise `DataError` if `labels` (..., H, W) have another size than `outputs`."""
        given, expected = tuple(labels.shape[-2:]), tuple(outputs.shape[-2:])
        if given != expected:
            raise DataError(
                f"got labels of {given[0]} x {given[1]} pixels, expected {expected[0]} x "
                f"{expected[1]}, the size of the features times their stride {self.stride}; resize "
                f"inputs and labels to a multiple of the stride"
            )
