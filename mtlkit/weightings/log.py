"""Sum of the logarithms of the losses: scale-invariant weighting.

Paper: the scale-invariant (SI) baseline of Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron,
Kenji Kawaguchi, Gal Chechik and Ethan Fetaya, "Multi-Task Learning as a Bargaining Game", ICML
2022.
"""

import attrs
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, RequiresPositiveLosses, UpdateStats


@attrs.frozen(kw_only=True)
class Log(Weighting):
    """Sum of the logarithms of the losses, invariant to the scale of each loss (SI)."""

    min_tasks = 2
    scale_free = True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "LogWeights":
        return LogWeights()


class LogWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights 1 / L_t, the gradient of the sum of log L_t (the baseline SI of Navon et al., 2022).

    Multiplying a loss by a constant does not change its gradient.

    >>> import torch
    >>> LogWeights().weights(UpdateStats(torch.tensor([0.5, 4.0]), torch.arange(2))).tolist()
    [2.0, 0.25]
    """

    def weights(self, stats: UpdateStats) -> Tensor:
        return 1 / stats.positive_losses
