"""Gradient vaccine (GradVac; Wang et al., ICLR 2021).

Paper: Zirui Wang, Yulia Tsvetkov, Orhan Firat and Yuan Cao, "Gradient Vaccine: Investigating and
Improving Multi-task Optimization in Massively Multilingual Models", ICLR 2021.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.component import below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule
from mtlkit.weightings.pcgrad import meetings


@attrs.frozen(kw_only=True)
class GradVac(GradientWeighting):
    """Gradients turned to the cosines that they had before (Wang et al., ICLR 2021, eq. 4-5).

    `rate` is the share of the newest cosine in the running target (the paper's beta).
    """

    rate: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return GradVacWeights(self.rate, terms)


class GradVacWeights(GramianWeighting):
    """The sum of all g_i, each turned to the target cosine with every other it falls short of.

    Equation 4 says how much of g_j is added; the target of a pair is the running mean of its
    cosines (eq. 5), 0 at first. With targets of 0 it is PCGrad.
    """

    targets: Tensor

    def __init__(self, rate: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("targets", torch.zeros(len(terms), len(terms)))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        own = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
        met = meetings(len(gramian), stats).to(gramian.device)  # each pair once: no target twice
        grid = (stats.indices.unsqueeze(1), stats.indices)
        before = self.targets[grid].to(gramian)
        target = before.gather(1, met).clamp(max=1 - 1e-6)  # nothing is turned to parallel
        wanted = (1 - target.square()).sqrt()
        other = gramian.diagonal()[met]  # |g_j|^2
        cosines = []
        for place in range(met.shape[1]):
            at, t, w, o = (each[:, place : place + 1] for each in (met, target, wanted, other))
            products = own @ gramian
            dot = products.gather(1, at)
            both = (products * own).sum(dim=1, keepdim=True) * o  # |g_i'|^2 |g_j|^2
            rest = (both - dot.square()).clamp(min=0).sqrt()  # its root times the sine
            short = (dot < t * both.clamp(min=0).sqrt()) & (both > 0)
            added = torch.where(short, (t * rest - dot * w) / (o * w), 0.0)
            own = own.scatter_add(1, at, added)
            cosines.append(torch.where(both > 0, dot * both.rsqrt(), 0.0))
        newest = target.lerp(torch.cat(cosines, dim=1).clamp(-1, 1), self.rate)
        self.targets[grid] = before.scatter(1, met, newest).to(self.targets)
        return own.sum(dim=0)
