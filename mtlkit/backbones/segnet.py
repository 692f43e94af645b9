"""SegNet, an encoder, and a decoder that upsamples with the indices of the encoder's pooling.

Paper: Vijay Badrinarayanan, Alex Kendall and Roberto Cipolla, "SegNet: A Deep Convolutional
Encoder-Decoder Architecture for Image Segmentation", IEEE Transactions on Pattern Analysis and
Machine Intelligence 2017, section 3.
"""

from collections.abc import Sequence

import attrs
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.backbones.conv_blocks import conv_bn_relu
from mtlkit.component import above
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, image_input
from mtlkit.features.maps import MapFeatures

STAGES: Sequence[Sequence[int]] = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)
"""Output channels of the convolutions of each stage of the encoder, the 13 of VGG16."""

SMALLEST = 2 ** len(STAGES)
"""Smallest input side in pixels, for which the last pooling has a nonempty output."""


@attrs.frozen(kw_only=True)
class SegNet(Backbone):
    """SegNet (Badrinarayanan, Kendall & Cipolla, TPAMI 2017): maps of the images' resolution.

    The encoder has the 13 convolutions of VGG16 and the decoder mirrors it. `width` scales all
    channel counts; images have at least 32 pixels per side.
    """

    width: float = attrs.field(default=1.0, validator=above(0))

    @property
    def gives(self) -> type[FeatureSpec]:
        return MapFeatures

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        return SegNetBackbone(self, image_input(inputs, "segnet", SMALLEST))


class SegNetBackbone(BackboneModule):
    """Maps images (N, C, H, W) to maps (N, 64 * width, H, W).

    >>> SegNetBackbone(SegNet(width=0.125), InputSpec(shape=(3, 32, 32))).features
    MapFeatures(channels=8, stride=1)
    """

    def __init__(self, config: SegNet, inputs: InputSpec) -> None:
        super().__init__()
        stages = [[max(1, round(c * config.width)) for c in stage] for stage in STAGES]
        befores = [inputs.shape[0], *(stage[-1] for stage in stages[:-1])]
        self.encoder = nn.ModuleList(
            conv_bn_relu(before, *stage) for before, stage in zip(befores, stages, strict=True)
        )
        # the last convolution of a stage of the decoder returns what the stage before it pooled
        afters = [stages[0][-1], *befores[1:]]
        self.decoder = nn.ModuleList(
            conv_bn_relu(*stage, after) for stage, after in zip(stages, afters, strict=True)
        )
        self.features = MapFeatures(channels=afters[0])

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Tensor)
        maps, pooled = inputs, []
        for stage in self.encoder:
            maps = stage(maps)
            size = maps.shape[2:]
            maps, indices = F.max_pool2d(maps, 2, return_indices=True)
            pooled.append((indices, size))
        for stage, (indices, size) in zip(reversed(self.decoder), reversed(pooled), strict=True):
            maps = stage(F.max_unpool2d(maps, indices, [2, 2], output_size=size))
        return maps
