"""The head `charbonnier`, for numbers of pixels."""

from typing import ClassVar

import attrs
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones import FeatureSpec, MapFeatures
from mtlkit.data import RealMapTarget, Target
from mtlkit.heads import Head, HeadModule, sample_means
from mtlkit.metrics import MAE, RMSE, Metric
from mtlkit.plugins import above


@attrs.frozen(kw_only=True)
class Charbonnier(Head):
    """Numbers of pixels by the loss sqrt(error^2 + e^2) - e (Charbonnier et al., ICIP 1994).

    It is squared for errors below `epsilon` and linear above.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (RealMapTarget,)
    reads: ClassVar[tuple[type[FeatureSpec], ...]] = (MapFeatures,)  # not vectors
    default_metrics: ClassVar[tuple[Metric, ...]] = (MAE(), RMSE())

    epsilon: float = attrs.field(default=0.1, validator=above(0))

    def build(self, features: FeatureSpec, target: Target) -> HeadModule:
        assert isinstance(features, MapFeatures)
        return CharbonnierHead(self.epsilon, features, len(target.components))


class CharbonnierHead(HeadModule):
    """Maps (N, K, H, W) at the resolution of the labels, and their loss."""

    def __init__(self, epsilon: float, features: MapFeatures, channels: int) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.stride = features.stride  # of the features, in pixels of the labels
        self.layer = nn.Conv2d(features.channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        values = self.layer(features).float()
        return F.interpolate(values, scale_factor=self.stride, mode="bilinear")

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        present = ~target.isnan()
        error = self(features) - target.nan_to_num()
        losses = (error.square() + self.epsilon**2).sqrt() - self.epsilon
        # a missing pixel has the loss 0; a sample has the mean over its present pixels
        return sample_means(losses.where(present, 0.0), present)
