"""The backbone `small-conv`."""

import attrs
from torch import Tensor, nn

from mtlkit.backbones import (
    Backbone,
    BackboneModule,
    Batch,
    InputSpecs,
    VectorFeatures,
    image_input,
)
from mtlkit.data import InputSpec
from mtlkit.plugins import at_least


@attrs.frozen(kw_only=True)
class SmallConv(Backbone):
    """Two convolutions and a mean over the image, for small images.

    The first convolution has `channels` outputs, the second twice as many, which are the features.
    """

    channels: int = attrs.field(default=8, validator=at_least(1))

    def build(self, inputs: InputSpecs) -> BackboneModule:
        return SmallConvModule(self.channels, image_input(inputs, "small-conv"))


class SmallConvModule(BackboneModule):
    """Map images (N, C, H, W) to features (N, 2 * channels)."""

    def __init__(self, channels: int, inputs: InputSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs.shape[0], channels, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.features = VectorFeatures(width=2 * channels)  # what heads and routers read

    def forward(self, inputs: Batch) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
