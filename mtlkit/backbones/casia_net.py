"""CASIA-Net with batch normalization, the backbone of Yin & Liu (TIP 2018).

Paper: Dong Yi, Zhen Lei, Shengcai Liao and Stan Z. Li, "Learning Face Representation from Scratch",
arXiv:1411.7923, 2014; with the batch normalization of Xi Yin and Xiaoming Liu, "Multi-Task
Convolutional Neural Network for Pose-Invariant Face Recognition", IEEE Transactions on Image
Processing 2018.
"""

import attrs
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule, SplittableBackbone
from mtlkit.component import above, between
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, image_input
from mtlkit.features.vectors import VectorFeatures


@attrs.frozen(kw_only=True)
class CasiaNet(Backbone):
    """CASIA-Net with batch normalization, the backbone of Yin & Liu (TIP 2018), section 3.1.

    It has ten 3x3 convolutions in five blocks and 320 features; inputs have at least 16 pixels per
    side. `width` scales all channel counts.
    """

    width: float = attrs.field(default=1.0, validator=above(0))
    dropout: float = attrs.field(default=0.4, validator=between(0, 1))

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        return CasiaNetBackbone(self, image_input(inputs, "casia-net", SMALLEST))


CHANNELS = ((32, 64), (64, 128), (96, 192), (128, 256), (160, 320))
"""Output channels of the two convolutions of each block."""


POOL_PADDING = (0, 0, 1, 1)
"""Padding of the max pooling after blocks 1 to 4 (25 to 13 and 13 to 7 pixels)."""


SMALLEST = 16
"""Smallest input side in pixels, for which the last block has a nonempty input."""


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each with batch norm, and ReLU after the first."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        first = _convolution(inputs, middle)
        super().__init__(*first, nn.ReLU(inplace=True), *_convolution(middle, outputs))


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
    nn.init.normal_(convolution.weight, std=0.01)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    # Caffe's moving-average fraction 0.999 is torch's momentum 0.001, for half a million steps at
    # batch 4; in shorter training the statistics would not converge, so keep torch's default 0.1
    return [convolution, nn.BatchNorm2d(outputs, eps=1e-5)]


class LastBlock(nn.Module):
    """Block 5, average pooling and dropout: maps (N, 256, h, w) to features (N, 320).

    The last convolution has no ReLU, so features may be negative.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.block = ConvBlock(inputs, middle, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(self.block(maps), 1).flatten(1)
        dropped: Tensor = self.dropout(pooled)
        return dropped


class CasiaNetBackbone(SplittableBackbone):
    """Maps images (N, C, H, W) to features (N, 320 * width).

    >>> CasiaNetBackbone(CasiaNet(width=0.5), InputSpec(shape=(1, 48, 48))).features
    VectorFeatures(width=160)
    """

    def __init__(self, config: CasiaNet, inputs: InputSpec) -> None:
        super().__init__()
        widths = [(_scaled(a, config.width), _scaled(b, config.width)) for a, b in CHANNELS]
        layers: list[nn.Module] = []
        channels = inputs.shape[0]
        for (middle, outputs), padding in zip(widths[:-1], POOL_PADDING, strict=True):
            layers.append(ConvBlock(channels, middle, outputs))
            # ReLU commutes with the maximum to the bit, and has a quarter of the work after it
            pool = nn.MaxPool2d(2, stride=2, padding=padding)
            layers.append(nn.Sequential(pool, nn.ReLU(inplace=True)))
            channels = outputs
        self.first_blocks = nn.Sequential(*layers)
        self._tail_shape = (channels, *widths[-1], config.dropout)
        self.last_block = self.new_tail()
        self.features = VectorFeatures(width=widths[-1][1])

    def stem(self, inputs: Batch) -> Tensor:
        maps: Tensor = self.first_blocks(inputs)
        return maps

    def tail(self, maps: Tensor) -> Tensor:
        features: Tensor = self.last_block(maps)
        return features

    def new_tail(self) -> LastBlock:
        return LastBlock(*self._tail_shape)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
