"""The network of the tables of MultiMNIST, after LeNet.

Paper: Xi Lin, Hui-Ling Zhen, Zhenhua Li, Qingfu Zhang and Sam Kwong, "Pareto Multi-Task Learning",
NeurIPS 2019, section 5.2; the sizes are those of the authors' code.
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
from mtlkit.plugins import at_least

SMALLEST = 20


@attrs.frozen(kw_only=True)
class LeNet(Backbone):
    """A 9x9 and a 5x5 convolution with pooling, and a fully connected layer of `width`."""

    width: int = attrs.field(default=50, validator=at_least(1))

    def build(self, inputs: InputSpecs) -> BackboneModule:
        return LeNetBackbone(self, image_input(inputs, "lenet", SMALLEST).shape)


class LeNetBackbone(BackboneModule):
    """Map images (N, C, H, W) to features (N, width).

    >>> LeNetBackbone(LeNet(), (1, 36, 36)).layers[7]
    Linear(in_features=500, out_features=50, bias=True)
    """

    def __init__(self, config: LeNet, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = shape
        pixels = 1
        for side in (height, width):
            pixels *= ((side - 8) // 2 - 4) // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 10, 9), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(10, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(20 * pixels, config.width), nn.ReLU(),
        )  # fmt: skip
        self.features = VectorFeatures(width=config.width)

    def forward(self, inputs: Batch) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
