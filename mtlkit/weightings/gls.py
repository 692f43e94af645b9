"""Geometric mean of the losses (GLS; Chennupati et al., CVPR workshops 2019, eq. 2).

Paper: Sumanth Chennupati, Ganesh Sistu, Senthil Yogamani and Samir Rawashdeh, "MultiNet++:
Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task Learning", CVPR
Workshops 2019.
"""

import attrs
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, RequiresPositiveLosses, UpdateStats


@attrs.frozen(kw_only=True)
class GLS(Weighting):
    """Geometric mean of the losses (GLS; Chennupati et al., CVPR workshops 2019)."""

    min_tasks = 2

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "GLSWeights":
        return GLSWeights()


class GLSWeights(BatchLossWeighting, RequiresPositiveLosses):
    """Weights (prod L)^(1/K) / (K L_t), the gradient of the geometric mean of the K losses.

    >>> import torch
    >>> GLSWeights().weights(UpdateStats(torch.tensor([1.0, 4.0]), torch.arange(2))).tolist()
    [1.0, 0.25]
    """

    def weights(self, stats: UpdateStats) -> Tensor:
        losses = stats.positive_losses
        mean = losses.log().mean().exp()
        return mean / (len(losses) * losses)
