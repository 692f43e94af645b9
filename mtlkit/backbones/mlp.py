"""Fully connected layers for tables."""

import math

import attrs
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.component import at_least, between, each, nonempty
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, one_input
from mtlkit.features.vectors import VectorFeatures


@attrs.frozen(kw_only=True)
class MLP(Backbone):
    """Fully connected layers with ReLU for tables; `hidden` lists the width of each layer."""

    hidden: tuple[int, ...] = attrs.field(default=(64, 64), validator=nonempty(each(at_least(1))))
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        return MLPBackbone(self, one_input(inputs, "mlp"))


class MLPBackbone(BackboneModule):
    """Maps flattened inputs (N, ...) to features (N, hidden[-1]).

    >>> MLPBackbone(MLP(hidden=(32, 16)), InputSpec(shape=(10,))).features
    VectorFeatures(width=16)
    """

    def __init__(self, config: MLP, inputs: InputSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(inputs.shape)
        for outputs in config.hidden:
            layers += [nn.Linear(width, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
            width = outputs
        self.layers = nn.Sequential(*layers)
        self.features = VectorFeatures(width=width)

    def forward(self, inputs: Batch) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
