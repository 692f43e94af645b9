"""A linear regression with half the squared error."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from mtlkit.heads.base import Head, HeadModule
from mtlkit.metrics.base import Metric
from mtlkit.metrics.mae import MAE
from mtlkit.metrics.r2 import R2
from mtlkit.metrics.rmse import RMSE
from mtlkit.task_types import TaskKind


@attrs.frozen(kw_only=True)
class Regression(Head):
    """A number: a linear map of the features, and half the squared error.

    The half makes the loss the negative log-likelihood of a unit Gaussian, up to a constant.
    Targets are standardized by the training split, so that no unit outweighs another; predictions
    come back in the target's own unit.
    """

    kind: ClassVar[TaskKind] = TaskKind.REGRESSION
    default_metrics: ClassVar[tuple[Metric, ...]] = (MAE(), RMSE(), R2())

    def build(self, features: int, classes: tuple[str, ...]) -> "HeadModule":
        return RegressionHead(features)


class RegressionHead(HeadModule):
    """A value and the loss (value - target)^2 / 2, in units of the target's standard deviation.

    That is -log N(target; value, 1) without its constant, which makes the loss comparable with a
    cross-entropy and right for uncertainty weighting (Kendall et al. 2018, eq. 5). Targets are
    numbers (N,), NaN where missing.

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

    def fit_targets(self, target: Tensor) -> None:
        known = target[self.present(target)].double()
        if len(known) == 0:
            return
        std = known.std(correction=0)
        self.mean.fill_(known.mean().item())
        self.std.fill_(std.item() if std > 0 else 1.0)

    def forward(self, features: Tensor) -> Tensor:
        return self._standard(features) * self.std + self.mean

    def _standard(self, features: Tensor) -> Tensor:
        """The value in units of the standard deviation from the mean."""
        standard: Tensor = self.linear(features).squeeze(-1).float()
        return standard

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        present = self.present(target)
        # NaN times 0 is NaN: a missing target is replaced before the arithmetic, not after
        known = torch.where(present, target, self.mean)
        error = self._standard(features) - (known - self.mean) / self.std
        return torch.where(present, error.square() / 2, 0.0)

    def present(self, target: Tensor) -> Tensor:
        return ~target.isnan()
