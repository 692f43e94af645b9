"""Gradient vaccine (GradVac; Wang et al., ICLR 2021).

Paper: Zirui Wang, Yulia Tsvetkov, Orhan Firat and Yuan Cao, "Gradient Vaccine: Investigating and
Improving Multi-task Optimization in Massively Multilingual Models", ICLR 2021.
"""

from math import sqrt
from operator import mul

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats
from mtlkit.weightings.pcgrad import projection_order
from mtlkit.weightings.solvers.active_set import on_floats


@attrs.frozen(kw_only=True)
class GradVac(GradientWeighting):
    """Gradients rotated to running means of their cosines (Wang et al., ICLR 2021, eq. 4-5).

    `rate` is the weight of the newest cosine in the running mean (the paper's beta).
    """

    rate: float = attrs.field(default=0.5, validator=below(1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "GradVacWeights":
        return GradVacWeights(self.rate, terms)


class GradVacWeights(GramianWeighting):
    """Sum of all g_i, each rotated to at least the target cosine with every g_j.

    Equation 4 is the multiple of g_j to add. The target of a pair is the running mean of its
    cosines (eq. 5), initially 0. With targets of 0 it is PCGrad.
    """

    def __init__(self, rate: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.rate = rate
        self.targets = nn.Buffer(torch.zeros(len(terms), len(terms)))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        if on_floats(gramian):
            return gramian.new_tensor(self._on_floats(gramian.tolist(), stats))
        coefficients = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
        order = projection_order(len(gramian), stats).to(gramian.device)  # each pair (i, j) once
        grid = (stats.indices.unsqueeze(1), stats.indices)
        before = self.targets[grid].to(gramian)
        target = before.gather(1, order).clamp(max=1 - 1e-6)  # excludes parallel gradients
        sine = (1 - target.square()).sqrt()
        square = gramian.diagonal()[order]  # |g_j|^2
        cosines = []
        columns = (torch.split(values, 1, dim=1) for values in (order, target, sine, square))
        products = gramian  # g_i' . g_j
        for j, t, s, o in zip(*columns, strict=True):
            dot = products.gather(1, j)
            both = (products * coefficients).sum(dim=1, keepdim=True) * o  # |g_i'|^2 |g_j|^2
            cross = (both - dot.square()).clamp(min=0).sqrt()  # |g_i'| |g_j| times the sine
            below = (dot < t * both.clamp(min=0).sqrt()) & (both > 0)
            added = torch.where(below, (t * cross - dot * s) / (o * s), 0.0)
            coefficients = coefficients.scatter_add(1, j, added)
            products = products + added * gramian[j.squeeze(1)]
            cosines.append(torch.where(both > 0, dot * both.rsqrt(), 0.0))
        newest = target.lerp(torch.cat(cosines, dim=1).clamp(-1, 1), self.rate)
        self.targets[grid] = before.scatter(1, order, newest).to(self.targets)
        return coefficients.sum(dim=0)

    def _on_floats(self, gramian: list[list[float]], stats: UpdateStats) -> list[float]:
        """Return the weights, and update the targets, as `forward` does."""
        grid = (stats.indices.unsqueeze(1), stats.indices)
        targets: list[list[float]] = self.targets[grid].tolist()
        weights = [0.0] * len(gramian)
        for i, others in enumerate(projection_order(len(gramian), stats).tolist()):
            products, coefficients = gramian[i], [float(i == j) for j in range(len(gramian))]
            for j in others:
                target = min(targets[i][j], 1 - 1e-6)
                square, dot = gramian[j][j], products[j]
                both = sum(map(mul, products, coefficients)) * square  # |g_i'|^2 |g_j|^2
                cosine = dot / sqrt(both) if both > 0 else 0.0
                if both > 0 and cosine < target:
                    sine, cross = sqrt(1 - target**2), sqrt(max(both - dot**2, 0.0))
                    added = (target * cross - dot * sine) / (square * sine)
                    coefficients[j] += added
                    products = [p + added * g for p, g in zip(products, gramian[j], strict=True)]
                targets[i][j] = target + self.rate * (max(-1.0, min(cosine, 1.0)) - target)
            weights = [w + c for w, c in zip(weights, coefficients, strict=True)]
        self.targets[grid] = self.targets.new_tensor(targets)
        return weights
