"""Impartial losses and gradients together (IMTL; Liu et al., ICLR 2021).

Paper: Liyang Liu, Yi Li, Zhanghui Kuang, Jing-Hao Xue, Yimin Chen, Wenming Yang, Qingmin Liao and
Wayne Zhang, "Towards Impartial Multi-task Learning", ICLR 2021.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, member_of
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting, HeadGradients
from mtlkit.weightings.imtl_g import IMTLGWeights
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightsHeads
from mtlkit.weightings.solvers.adam import AdamState


@attrs.frozen(kw_only=True)
class IMTL(GradientWeighting):
    """IMTL-G on losses whose scales IMTL-L learns (IMTL; Liu et al., ICLR 2021, algorithm 1).

    `learning_rate` is that of the log-scales, which descend by Adam.
    """

    heads: HeadGradients = attrs.field(
        default=HeadGradients.WEIGHTED, validator=member_of(HeadGradients)
    )
    learning_rate: float = attrs.field(default=1e-3, validator=above(0))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "IMTLWeights":
        return IMTLWeights(self.learning_rate, terms)


class IMTLWeights(GramianWeighting, WeightsHeads):
    """Weights a_t exp(s_t) with IMTL-G's a of the scaled gradients exp(s_t) g_t.

    The heads have the weights exp(s_t). After the weights are computed, s descends on
    exp(s_t) L_t - s_t (section 3.2), whose derivative is exp(s_t) L_t - 1.
    """

    def __init__(self, learning_rate: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.impartial = IMTLGWeights()
        self.adam = AdamState(len(terms), learning_rate)
        self.log_scale = nn.Buffer(torch.zeros(len(terms)))
        self.scales = nn.Buffer(torch.ones(len(terms)), persistent=False)

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        at = stats.indices
        scales = self.log_scale[at].exp()
        self.scales[at] = scales
        self.adam.descend(self.log_scale, scales * stats.losses - 1, at)
        scales = scales.to(gramian)
        weights: Tensor = self.impartial(scales.unsqueeze(1) * gramian * scales, stats)
        return weights * scales

    def head_weights(self, stats: UpdateStats) -> Tensor:
        return self.scales[stats.indices]
