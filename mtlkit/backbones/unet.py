"""U-Net, an encoder and a decoder joined at every resolution.

Paper: Olaf Ronneberger, Philipp Fischer and Thomas Brox, "U-Net: Convolutional Networks for
Biomedical Image Segmentation", MICCAI 2015, figure 1; with padding and batch normalization, so
that the output has the size of the inputs.
"""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.backbones.conv_blocks import conv_bn_relu
from mtlkit.component import at_least
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, image_input
from mtlkit.features.maps import MapFeatures


@attrs.frozen(kw_only=True)
class UNet(Backbone):
    """U-Net (Ronneberger, Fischer & Brox, MICCAI 2015): maps of the resolution of the images.

    The first level has `channels` channels, twice as many after each of the `depth` poolings. The
    paper has 64 channels and depth 4. The sides of an image have at least 2^`depth` pixels.
    """

    channels: int = attrs.field(default=64, validator=at_least(1))
    depth: int = attrs.field(default=4, validator=at_least(1))

    @property
    def gives(self) -> type[FeatureSpec]:
        return MapFeatures

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        return UNetBackbone(self, image_input(inputs, "unet", 2**self.depth))


class UpBlock(nn.Module):
    """A 2x2 up-convolution, concatenation with the encoder's maps, and two 3x3 convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2)
        self.convolutions = conv_bn_relu(2 * outputs, outputs, outputs)

    def forward(self, maps: Tensor, skipped: Tensor) -> Tensor:
        up = self.up(maps)
        height, width = skipped.shape[2] - up.shape[2], skipped.shape[3] - up.shape[3]
        up = F.pad(up, (0, width, 0, height))  # sides that pooling rounded down
        joined: Tensor = self.convolutions(torch.cat([skipped, up], dim=1))
        return joined


class UNetBackbone(BackboneModule):
    """Maps images (N, C, H, W) to maps (N, channels, H, W).

    >>> UNetBackbone(UNet(channels=8, depth=2), InputSpec(shape=(3, 16, 16))).features
    MapFeatures(channels=8, stride=1)
    """

    def __init__(self, config: UNet, inputs: InputSpec) -> None:
        super().__init__()
        widths = [config.channels * 2**level for level in range(config.depth + 1)]
        befores = [inputs.shape[0], *widths[:-1]]
        self.down = nn.ModuleList(
            conv_bn_relu(before, width, width)
            for before, width in zip(befores, widths, strict=True)
        )
        self.up = nn.ModuleList(
            UpBlock(below, width)
            for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.features = MapFeatures(channels=config.channels)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Tensor)
        maps: Tensor = self.down[0](inputs)
        skipped = []
        for block in self.down[1:]:
            skipped.append(maps)
            maps = block(F.max_pool2d(maps, 2))
        for block, skip in zip(self.up, reversed(skipped), strict=True):
            maps = block(maps, skip)
        return maps
