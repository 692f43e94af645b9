"""The network of the tables of CelebA: seven convolutions and two fully connected layers.

Paper: Bo Liu, Yihao Feng, Peter Stone and Qiang Liu, "FAMO: Fast Adaptive Multitask Optimization",
NeurIPS 2023, appendix; the sizes are those of the authors' code.
"""

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
from mtlkit.plugins import above

STAGES = ((64,), (128, 128), (256, 256), (512, 512))
"""Channels of the convolutions of each stage; a pooling ends all but the last."""


@attrs.frozen(kw_only=True)
class CelebACNN(Backbone):
    """Seven 3x3 convolutions and two fully connected layers, each with batch norm and ReLU.

    `width` scales all channel counts.
    """

    width: float = attrs.field(default=1.0, validator=above(0))

    def build(self, inputs: InputSpecs) -> BackboneModule:
        return CelebACNNBackbone(self, image_input(inputs, "celeba-cnn", 8).shape[0])


class CelebACNNBackbone(BackboneModule):
    """Map images (N, C, H, W) to features (N, 512 width)."""

    def __init__(self, config: CelebACNN, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, stage in enumerate(STAGES):
            for size in stage:
                outputs = max(1, round(size * config.width))
                layers += [
                    nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(),
                ]
                channels = outputs
            layers.append(nn.MaxPool2d(2) if number < len(STAGES) - 1 else nn.AdaptiveAvgPool2d(1))
        layers.append(nn.Flatten())
        for _ in range(2):
            layers += [
                nn.Linear(channels, channels, bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.features = VectorFeatures(width=channels)

    def forward(self, inputs: Batch) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
