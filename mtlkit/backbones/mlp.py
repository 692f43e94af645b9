"""Fully connected layers for tables."""

import math

import attrs
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.component import at_least, between, each
from mtlkit.errors import AssemblyError


@attrs.frozen(kw_only=True)
class MLP(Backbone):
    """Fully connected layers with ReLU for tables; `hidden` lists the width of each layer."""

    hidden: tuple[int, ...] = attrs.field(default=(64, 64), validator=each(at_least(1)))
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        return MLPBackbone(self, sample_shape)


class MLPBackbone(BackboneModule):
    """Maps flattened inputs (N, ...) to features (N, hidden[-1]).

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
