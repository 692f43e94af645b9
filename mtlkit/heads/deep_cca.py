"""Deep canonical correlation analysis (Andrew et al., ICML 2013).

Paper: Galen Andrew, Raman Arora, Jeff Bilmes and Karen Livescu, "Deep Canonical Correlation
Analysis", ICML 2013.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.layers import output_layers, sizes
from mtlkit.metrics.mae import MAE
from mtlkit.metrics.rmse import RMSE
from mtlkit.targets.base import Target
from mtlkit.targets.rows import Rows, chunks
from mtlkit.targets.vector import VectorTarget

MOMENTUM = 0.1
"""Fraction of a batch in the running covariances."""


@attrs.frozen(kw_only=True)
class DeepCCA(Head):
    """Correlation between the features and a second view, the label (Andrew et al., ICML 2013).

    The first view is what the backbone reads, and the second a vector. `components` projections of
    the features and as many outputs of a network with the widths `hidden` over the vector get the
    largest total correlation; without `hidden` the second view is linear. `regularization` (r) is
    added to the variances. Losses depend on the other samples of the micro-batch, so it needs many
    more samples than `components`. A sample whose vector has a missing component is ignored.
    """

    targets = (VectorTarget,)
    default_metrics = (MAE(), RMSE())

    components: int = attrs.field(default=4, validator=at_least(1))
    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)
    regularization: float = attrs.field(default=1e-3, validator=above(0))

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(target, VectorTarget)
        return DeepCCAHead(self, features.width, len(target.names))


class DeepCCAHead(HeadModule):
    """A loss whose mean over samples is `components` minus the total correlation, from 0 on.

    The total correlation is the sum of the singular values of T = S11^(-1/2) S12 S22^(-1/2), with
    the covariances S of both projections over the batch (eq. 10). Outputs (N, K) are the linear
    prediction of the second view from the first projection, in the units of the label, by running
    covariances.

    >>> _ = torch.manual_seed(0)
    >>> head = DeepCCAHead(DeepCCA(components=1), 2, 1)
    >>> view = torch.randn(64, 2)
    >>> label = view @ torch.tensor([[3.0], [0.0]]) + 5
    >>> head.fit_targets(label)
    >>> with torch.no_grad():
    ...     _ = head.first.weight.copy_(torch.tensor([[1.0, 0.0]]))
    >>> bool(head.loss(view, label).mean() < 0.02)  # correlated, except for the regularization
    True
    """

    def __init__(self, config: DeepCCA, features: int, width: int) -> None:
        super().__init__()
        count = config.components
        self.config = config
        self.first = nn.Linear(features, count)
        self.second = output_layers(width, config.hidden, count)
        last = self.second[-1]
        assert isinstance(last, nn.Linear)
        last.reset_parameters()  # a correlation does not depend on the scale
        self.label_mean = nn.Buffer(torch.zeros(width, dtype=torch.float64))
        self.label_std = nn.Buffer(torch.ones(width, dtype=torch.float64))
        self.mean = nn.Buffer(torch.zeros(count, dtype=torch.float64))
        self.covariance = nn.Buffer(torch.eye(count, dtype=torch.float64))
        self.cross = nn.Buffer(torch.zeros(width, count, dtype=torch.float64))

    def fit_targets(self, labels: Rows) -> None:
        known = torch.cat(list(chunks(labels))).double()
        known = known[~known.isnan().any(dim=1)]
        if len(known):
            std = known.std(dim=0, correction=0)
            self.label_mean.copy_(known.mean(dim=0))
            self.label_std.copy_(torch.where(std > 0, std, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        projected = self.first(features).double() - self.mean
        predicted = torch.linalg.solve(self._regular(self.covariance), projected.T).T @ self.cross.T
        values: Tensor = predicted * self.label_std + self.label_mean
        return values

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        complete = ~target.isnan().any(dim=1)
        known = (target - self.label_mean) / self.label_std
        known = known.to(self.first.weight.dtype)
        label = torch.where(complete.unsqueeze(1), known, 0.0)
        count = complete.sum()
        present = complete.unsqueeze(1).double()

        def centered(view: Tensor) -> tuple[Tensor, Tensor]:
            values = view.double()
            mean = (values * present).sum(dim=0) / count.clamp(min=1)
            return (values - mean) * present, mean

        first, mean = centered(self.first(features))
        second, _ = centered(self.second(label))
        freedom = (count - 1).clamp(min=1)
        covariances = [view.T @ view / freedom for view in (first, second)]
        if self.training:
            self._record(count, mean, covariances[0], label.double().T @ first / freedom)
        white = [
            torch.linalg.solve_triangular(
                torch.linalg.cholesky(self._regular(covariance)), view.T, upper=False
            )
            for view, covariance in zip((first, second), covariances, strict=True)
        ]
        # singular values are those of T; their gradient is that of its product with U V' (eq. 11)
        u, _, vh = torch.linalg.svd((white[0] @ white[1].T).detach())
        shares = (white[0] * (u @ vh @ white[1])).sum(dim=0) * count / freedom
        return torch.where(complete, self.config.components - shares, 0.0).float()

    def _regular(self, covariance: Tensor) -> Tensor:
        identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
        return covariance + self.config.regularization * identity

    @torch.no_grad()
    def _record(self, count: Tensor, mean: Tensor, covariance: Tensor, cross: Tensor) -> None:
        """Add the statistics of a batch to the running ones, unless it has a single sample."""
        rate = torch.where(count > 1, MOMENTUM, 0.0).to(self.mean.dtype)
        self.mean.lerp_(mean, rate)
        self.covariance.lerp_(covariance, rate)
        self.cross.lerp_(cross, rate)
