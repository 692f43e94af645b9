"""Regression of numbers for each pixel, such as depth or disparity.

Paper: David Eigen, Christian Puhrsch and Rob Fergus, "Depth Map Prediction from a Single Image
using a Multi-Scale Deep Network", NeurIPS 2014 (the option `log`).
"""

import attrs
from torch import Tensor

from mtlkit.component import above, member_of
from mtlkit.errors import DataError
from mtlkit.features.base import FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.elements import PointLoss, point_losses, sample_means
from mtlkit.heads.layers import map_layers, sizes
from mtlkit.heads.maps import MapHead
from mtlkit.metrics.mae import MAE
from mtlkit.metrics.rmse import RMSE
from mtlkit.targets.base import Target
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.rows import Rows, chunks


@attrs.frozen(kw_only=True)
class DenseRegression(Head):
    """1x1 convolutions that predict numbers for each pixel, on a map of features.

    `loss` is the absolute error, half the squared error or Huber's loss, which is linear beyond
    `delta`, in the units of the labels. With `log` the map is the logarithm of the number, and so
    is the target of the loss (Eigen et al., NeurIPS 2014); labels must then be above 0. `hidden`
    are the channels of hidden 1x1 convolutions.
    """

    targets = (RealMapTarget,)
    reads = (MapFeatures,)
    default_metrics = (MAE(), RMSE())

    loss: PointLoss = attrs.field(default=PointLoss.ABSOLUTE, validator=member_of(PointLoss))
    delta: float = attrs.field(default=1.0, validator=above(0))
    log: bool = False
    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(features, MapFeatures)
        assert isinstance(target, RealMapTarget)
        return DenseRegressionHead(self, features, target.channels)


class DenseRegressionHead(MapHead):
    """Numbers (N, C, H, W) and the mean loss of the present elements of each sample.

    >>> import torch
    >>> head = DenseRegressionHead(DenseRegression(), MapFeatures(channels=8), 1)
    >>> target = torch.tensor([[[[2.0, torch.nan]]]])
    >>> head.loss(torch.zeros(1, 8, 1, 2), target).tolist()
    [2.0]
    """

    def __init__(self, config: DenseRegression, features: MapFeatures, channels: int) -> None:
        super().__init__(features, map_layers(features.channels, config.hidden, channels))
        self.config = config

    def fit_targets(self, labels: Rows) -> None:
        if not self.config.log:
            return
        for part in chunks(labels):
            wrong = part[part <= 0]
            if len(wrong):
                raise DataError(
                    f"log: got a label of {float(wrong[0]):g}, expected numbers above 0; mark "
                    f"pixels without a number as missing, or use `log: false`"
                )

    def forward(self, features: Tensor) -> Tensor:
        values = self.maps(features).float()
        return values.exp() if self.config.log else values

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        values = self.maps(features).float()
        self.require_size(values, target)
        known = target.log() if self.config.log else target
        losses = point_losses(values, known, self.config.loss, self.config.delta)
        return sample_means(losses, ~target.isnan())
