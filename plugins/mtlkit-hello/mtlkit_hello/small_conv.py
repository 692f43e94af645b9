"""The backbone `small-conv`."""

import attrs
from torch import Tensor, nn

from mtlkit.backbones import Backbone, BackboneModule
from mtlkit.plugins import AssemblyError, at_least


@attrs.frozen(kw_only=True)
class SmallConv(Backbone):
    """Two convolutions and a mean over the image, for small images.

    The first convolution has `channels` outputs, the second twice as many, which are the features.
    """

    channels: int = attrs.field(default=8, validator=at_least(1))

    def build(self, sample_shape: tuple[int, ...]) -> BackboneModule:
        return SmallConvModule(self.channels, sample_shape)


class SmallConvModule(BackboneModule):
    """Map images (N, C, H, W) to features (N, 2 * channels)."""

    def __init__(self, channels: int, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(sample_shape) != 3:
            raise AssemblyError(
                f"small-conv: got samples of shape {sample_shape}, expected images (C, H, W); "
                f"for tables use `backbone: mlp`"
            )
        self.layers = nn.Sequential(
            nn.Conv2d(sample_shape[0], channels, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.features = 2 * channels  # the width that heads and routers read

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
