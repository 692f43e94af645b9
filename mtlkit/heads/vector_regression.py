"""Regression of several numbers for each sample.

Paper: Peter J. Huber, "Robust Estimation of a Location Parameter", The Annals of Mathematical
Statistics 1964 (the loss `huber`).
"""

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, member_of
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.elements import PointLoss, point_losses, sample_means
from mtlkit.heads.layers import output_layers, sizes
from mtlkit.metrics.number_errors import MAE, RMSE
from mtlkit.targets.base import Target
from mtlkit.targets.rows import Rows, chunks
from mtlkit.targets.vector import VectorTarget


@attrs.frozen(kw_only=True)
class VectorRegression(Head):
    """Regression of the components of a vector, each standardized by the training labels.

    `loss` is half the squared error, the absolute error or Huber's loss, which is linear beyond
    `delta` standard deviations. With `standardize` off, losses are in the units of the labels.
    `hidden` are the widths of hidden layers.
    """

    targets = (VectorTarget,)
    default_metrics = (MAE(), RMSE())

    loss: PointLoss = attrs.field(default=PointLoss.SQUARED, validator=member_of(PointLoss))
    delta: float = attrs.field(default=1.0, validator=above(0))
    standardize: bool = True
    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(target, VectorTarget)
        return VectorRegressionHead(self, features.width, len(target.names))


class VectorRegressionHead(HeadModule):
    """Values (N, K) and the mean loss over the present components, in standard deviations.

    Targets are centered in float64, and predictions are float64.

    >>> head = VectorRegressionHead(VectorRegression(), 8, 2)
    >>> head.fit_targets(torch.tensor([[0.0, 1.0], [20.0, torch.nan]]))
    >>> head.mean.tolist(), head.std.tolist()
    ([10.0, 1.0], [10.0, 1.0])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: VectorRegression, features: int, components: int) -> None:
        super().__init__()
        self.layers = output_layers(features, config.hidden, components)
        self.config = config
        # float32 cannot represent large targets that differ little, such as times
        self.register_buffer("mean", torch.zeros(components, dtype=torch.float64))
        self.register_buffer("std", torch.ones(components, dtype=torch.float64))

    def fit_targets(self, labels: Rows) -> None:
        if not self.config.standardize:
            return
        known = torch.cat(list(chunks(labels))).double()
        count = (~known.isnan()).sum(dim=0).clamp(min=1)
        mean = known.nansum(dim=0) / count
        std = ((known - mean).square().nansum(dim=0) / count).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        standard: Tensor = self.layers(features).float()
        return standard.double() * self.std + self.mean

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        standard = self.layers(features).float()
        known = ((target - self.mean) / self.std).float()
        losses = point_losses(standard, known, self.config.loss, self.config.delta)
        return sample_means(losses, ~target.isnan())
