"""Concordance correlation coefficient.

Paper: Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", Biometrics 1989,
eq. 1, with variances divided by N.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.metrics.base import Metric, MetricState
from mtlkit.metrics.moments import MomentState
from mtlkit.targets.base import Target
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.vector import VectorTarget


@attrs.frozen(kw_only=True)
class CCC(Metric):
    """2 cov / (var(value) + var(target) + (mean(value) - mean(target))^2).

    Undefined if values and targets are the same constant. For vectors it is the mean over
    components, as used for valence and arousal.

    Paper: Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", Biometrics
    1989, eq. 1, with variances divided by N.
    """

    name = "ccc"
    targets = (NumberTarget, VectorTarget)
    higher_is_better = True
    unit = "correlation"
    bounds = (-1.0, 1.0)

    def build(self, target: Target) -> MetricState:
        return MomentState(target, ccc)


def ccc(count: Tensor, mean: Tensor, products: Tensor) -> Tensor:
    """Return the coefficient (K,) from the moments of outputs and labels."""
    shift = count * (mean[0] - mean[1]).square()
    spread = products[0, 0] + products[1, 1] + shift
    value = (2 * products[0, 1] / spread).clamp(-1, 1)
    return torch.where(spread > 0, value, torch.nan)
