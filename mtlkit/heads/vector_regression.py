"""Regression of several numbers for each sample.

Paper: Peter J. Huber, "Robust Estimation of a Location Parameter", The Annals of Mathematical
Statistics 1964 (the loss `huber`).
"""

import attrs
import torch
from torch import Tensor

from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import HeadModule
from mtlkit.heads.elements import sample_means
from mtlkit.heads.regression import PointRegression, RegressionHead
from mtlkit.metrics.mae import MAE
from mtlkit.metrics.rmse import RMSE
from mtlkit.targets.base import Target
from mtlkit.targets.rows import Rows, chunks
from mtlkit.targets.vector import VectorTarget


@attrs.frozen(kw_only=True)
class VectorRegression(PointRegression):
    """Regression of the components of a vector, each standardized by the training labels.

    `loss` is half the squared error, the absolute error or Huber's loss, which is linear beyond
    `delta` standard deviations. With `standardize` off, losses are in the units of the labels.
    `hidden` are the widths of hidden layers.
    """

    targets = (VectorTarget,)
    default_metrics = (MAE(), RMSE())

    standardize: bool = True

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(target, VectorTarget)
        return VectorRegressionHead(self, features.width, len(target.names))


class VectorRegressionHead(RegressionHead):
    """Values (N, K) and the mean loss over the present components, in standard deviations.

    >>> head = VectorRegressionHead(VectorRegression(), 8, 2)
    >>> head.fit_targets(torch.tensor([[0.0, 1.0], [20.0, torch.nan]]))
    >>> head.mean.tolist(), head.std.tolist()
    ([10.0, 1.0], [10.0, 1.0])
    """

    def __init__(self, config: VectorRegression, features: int, components: int) -> None:
        super().__init__(config, features, (components,))
        self.standardize = config.standardize

    def fit_targets(self, labels: Rows) -> None:
        if not self.standardize:
            return
        known = torch.cat(list(chunks(labels))).double()
        count = (~known.isnan()).sum(dim=0).clamp(min=1)
        mean = known.nansum(dim=0) / count
        std = ((known - mean).square().nansum(dim=0) / count).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        return sample_means(super().loss(features, target), ~target.isnan())
