"""The network of the tables of Office: a ResNet and a shared layer.

Paper: Baijiong Lin, Feiyang Ye, Yu Zhang and Ivor W. Tsang, "Reasonable Effectiveness of Random
Weighting: A Litmus Test for Multi-Task Learning", TMLR 2022; the sizes are those of LibMTL.
"""

from pathlib import Path

import attrs
from torch import Tensor, nn

from mtlkit.backbones import (
    Backbone,
    BackboneModule,
    Batch,
    InputSpecs,
    TimmModel,
    VectorFeatures,
)
from mtlkit.plugins import at_least, between


@attrs.frozen(kw_only=True)
class OfficeResNet(Backbone):
    """A timm `model`, then a fully connected layer of `width` with batch norm, ReLU and dropout.

    `weights` and `download` are those of the backbone `timm`.
    """

    model: str = "resnet18"
    weights: Path | None = None
    download: bool = False
    width: int = attrs.field(default=512, validator=at_least(1))
    dropout: float = attrs.field(default=0.5, validator=between(0, 1))

    def __attrs_post_init__(self) -> None:
        _ = self.encoder  # refuses options that exclude each other

    @property
    def encoder(self) -> TimmModel:
        """The options of the model."""
        return TimmModel(model=self.model, weights=self.weights, download=self.download)

    def build(self, inputs: InputSpecs) -> BackboneModule:
        return OfficeResNetBackbone(self, self.encoder.build(inputs))

    def blank(self) -> Backbone:
        return attrs.evolve(self, weights=None, download=False)


class OfficeResNetBackbone(BackboneModule):
    """Map images (N, C, H, W) to features (N, width)."""

    def __init__(self, config: OfficeResNet, encoder: BackboneModule) -> None:
        super().__init__()
        self.encoder = encoder
        hidden = nn.Linear(encoder.features.width, config.width)
        nn.init.normal_(hidden.weight, std=0.005)
        nn.init.constant_(hidden.bias, 0.1)
        self.layers = nn.Sequential(
            hidden, nn.BatchNorm1d(config.width), nn.ReLU(), nn.Dropout(config.dropout)
        )
        self.features = VectorFeatures(width=config.width)

    def forward(self, inputs: Batch) -> Tensor:
        features: Tensor = self.layers(self.encoder(inputs))
        return features
