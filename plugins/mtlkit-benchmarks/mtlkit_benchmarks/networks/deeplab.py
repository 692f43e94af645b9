"""The head of DeepLabV3 for one task: atrous spatial pyramid pooling, then a 3x3 convolution.

Paper: Liang-Chieh Chen, George Papandreou, Florian Schroff and Hartwig Adam, "Rethinking Atrous
Convolution for Semantic Image Segmentation", arXiv:1706.05587, 2017, section 3.3.
"""

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones import Adapter, AdapterModule, Context, FeatureSpec, MapFeatures
from mtlkit.plugins import at_least, between, each, nonempty


@attrs.frozen(kw_only=True)
class DeepLab(Adapter):
    """Convolutions of several dilations, joined and projected to `channels`, and a 3x3 convolution.

    `dilations` are those at stride 8. The mean of the image is a branch without batch norm, because
    it is a single value for each channel. `dropout` applies after the projection.
    """

    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (MapFeatures,)
    gives: ClassVar[type[FeatureSpec]] = MapFeatures

    channels: int = attrs.field(default=256, validator=at_least(1))
    dilations: tuple[int, ...] = attrs.field(
        default=(12, 24, 36), validator=nonempty(each(at_least(1)))
    )
    dropout: float = attrs.field(default=0.5, validator=between(0, 1))

    def build(self, features: FeatureSpec) -> AdapterModule:
        assert isinstance(features, MapFeatures)
        return DeepLabModule(self, features)


class DeepLabModule(AdapterModule):
    """Map features (N, C, H, W) to (N, channels, H, W)."""

    def __init__(self, config: DeepLab, features: MapFeatures) -> None:
        super().__init__()
        given, width = features.channels, config.channels
        self.branches = nn.ModuleList([_normalized(given, width, 1)])
        self.branches.extend(_normalized(given, width, 3, rate) for rate in config.dilations)
        self.mean = nn.Sequential(nn.Conv2d(given, width, 1), nn.ReLU())
        self.project = _normalized(width * (len(config.dilations) + 2), width, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.last = _normalized(width, width, 3)
        self.features = attrs.evolve(features, channels=width)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        parts = [branch(features) for branch in self.branches]
        mean = self.mean(features.mean(dim=(2, 3), keepdim=True))
        parts.append(mean.expand(-1, -1, *features.shape[2:]))
        maps: Tensor = self.last(self.dropout(self.project(torch.cat(parts, dim=1))))
        return maps


def _normalized(inputs: int, outputs: int, side: int, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (side // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
