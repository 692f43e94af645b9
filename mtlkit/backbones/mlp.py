"""Fully connected layers for tables."""

import math

from torch import Tensor, nn

from mtlkit.backbones._configs import MLP
from mtlkit.backbones.base import BackboneModule
from mtlkit.errors import AssemblyError


class MLPBackbone(BackboneModule):
    """Inputs (N, ...), flattened, to features (N, hidden[-1]).

    >>> MLPBackbone(MLP(hidden=(32, 16)), (10,)).features
    16
    """

    def __init__(self, config: MLP, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        if not config.hidden:
            raise AssemblyError("mlp: expected one hidden layer or more, found none")
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = math.prod(sample_shape)
        for outputs in config.hidden:
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.features = inputs

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
