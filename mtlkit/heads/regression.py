"""Regression of a number for each sample.

Paper: Peter J. Huber, "Robust Estimation of a Location Parameter", The Annals of Mathematical
Statistics 1964 (the loss `huber`).
"""

import math

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, member_of
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.elements import PointLoss, point_losses
from mtlkit.heads.layers import output_layers, sizes
from mtlkit.metrics.mae import MAE
from mtlkit.metrics.r2 import R2
from mtlkit.metrics.rmse import RMSE
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.rows import Rows, chunks


@attrs.frozen(kw_only=True)
class PointRegression(Head):
    """Options of a head that returns values, for which the loss of each is computed by itself."""

    loss: PointLoss = attrs.field(default=PointLoss.SQUARED, validator=member_of(PointLoss))
    delta: float = attrs.field(default=1.0, validator=above(0))
    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)


@attrs.frozen(kw_only=True)
class Regression(PointRegression):
    """Regression of a number, standardized with statistics of the training labels.

    `loss` is half the squared error, the negative log-likelihood of a unit Gaussian up to a
    constant; or the absolute error or Huber's loss, which is linear beyond `delta` standard
    deviations. So losses do not depend on the unit; predictions are in the unit of the label.
    `hidden` are the widths of hidden layers.
    """

    targets = (NumberTarget,)
    default_metrics = (MAE(), RMSE(), R2())

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        return RegressionHead(self, features.width)


class RegressionHead(HeadModule):
    """A value of a `shape` and its losses, in units of the target's standard deviation.

    Half the squared error is -log N(target; value, 1) up to a constant, comparable with a
    cross-entropy and suitable for uncertainty weighting (Kendall et al. 2018, eq. 5). Targets are
    numbers (N,), NaN if missing. They are centered in float64, and predictions (N,) are float64.

    >>> head = RegressionHead(Regression(), 8)
    >>> head.fit_targets(torch.tensor([0.0, 20.0]))
    >>> [head.mean.item(), head.std.item()]
    [10.0, 10.0]
    """

    def __init__(self, config: PointRegression, features: int, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.config = config
        self.layers = output_layers(features, config.hidden, math.prod(shape))
        # float32 cannot represent large targets that differ little, such as times
        self.mean = nn.Buffer(torch.zeros(shape, dtype=torch.float64))
        self.std = nn.Buffer(torch.ones(shape, dtype=torch.float64))

    def fit_targets(self, labels: Rows) -> None:
        target = torch.cat(list(chunks(labels)))
        known = target[~target.isnan()].double()
        if len(known) == 0:
            return
        std = known.std(correction=0)
        self.mean.fill_(known.mean().item())
        self.std.fill_(std.item() if std > 0 else 1.0)

    def forward(self, features: Tensor) -> Tensor:
        return self._standard(features).double() * self.std + self.mean

    def _standard(self, features: Tensor) -> Tensor:
        """Return the standardized predictions (N, ...) in the shape of their targets."""
        standard: Tensor = self.layers(features).view(-1, *self.mean.shape).float()
        return standard

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        known = ((target - self.mean) / self.std).float()
        return point_losses(self._standard(features), known, self.config.loss, self.config.delta)
