"""Random weights (RLW; Lin et al., TMLR 2022).

Paper: Baijiong Lin, Feiyang Ye, Yu Zhang and Ivor W. Tsang, "Reasonable Effectiveness of Random
Weighting: A Litmus Test for Multi-Task Learning", TMLR 2022.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, UpdateStats


@attrs.frozen(kw_only=True)
class RLW(Weighting):
    """Random weights, drawn for each update (RLW; Lin et al., TMLR 2022): a placebo."""

    min_tasks = 2

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "RLWWeights":
        return RLWWeights()


class RLWWeights(BatchLossWeighting):
    """Weights softmax(z) with z from N(0, I), drawn for each update, equal on every rank.

    The sum is 1.
    """

    def weights(self, stats: UpdateStats) -> Tensor:
        drawn = torch.randn(len(stats.losses), generator=stats.step.generator())
        return drawn.softmax(dim=0).to(stats.losses)
