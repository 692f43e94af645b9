"""Linear regression with half the squared error."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.metrics.base import Metric
from mtlkit.metrics.mae import MAE
from mtlkit.metrics.r2 import R2
from mtlkit.metrics.rmse import RMSE
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.rows import Rows, chunks


@attrs.frozen(kw_only=True)
class Regression(Head):
    """Linear regression trained with half the squared error.

    The loss is the negative log-likelihood of a unit Gaussian, up to a constant. Targets are
    standardized with statistics of the training split, so that losses do not depend on the unit;
    predictions are in the unit of the target.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    default_metrics: ClassVar[tuple[Metric, ...]] = (MAE(), RMSE(), R2())

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        return RegressionHead(features.width)


class RegressionHead(HeadModule):
    """A value and the loss (value - target)^2 / 2, in units of the target's standard deviation.

    That is -log N(target; value, 1) up to a constant, comparable with a cross-entropy and suitable
    for uncertainty weighting (Kendall et al. 2018, eq. 5). Targets are numbers (N,), NaN if
    missing.

    >>> head = RegressionHead(8)
    >>> head.fit_targets(torch.tensor([0.0, 20.0]))
    >>> [head.mean.item(), head.std.item()]
    [10.0, 10.0]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(1.0))

    def fit_targets(self, labels: Rows) -> None:
        target = torch.cat(list(chunks(labels)))
        known = target[~target.isnan()].double()
        if len(known) == 0:
            return
        std = known.std(correction=0)
        self.mean.fill_(known.mean().item())
        self.std.fill_(std.item() if std > 0 else 1.0)

    def forward(self, features: Tensor) -> Tensor:
        return self._standard(features) * self.std + self.mean

    def _standard(self, features: Tensor) -> Tensor:
        """Return the standardized prediction (N,)."""
        standard: Tensor = self.linear(features).squeeze(-1).float()
        return standard

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        present = ~target.isnan()
        # replace missing targets before the arithmetic, because NaN times 0 is NaN
        known = torch.where(present, target, self.mean)
        error = self._standard(features) - (known - self.mean) / self.std
        return torch.where(present, error.square() / 2, 0.0)
