"""Multi-task learning as a bargaining game (Nash-MTL; Navon et al., ICML 2022).

Paper: Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron, Kenji Kawaguchi, Gal Chechik and
Ethan Fetaya, "Multi-Task Learning as a Bargaining Game", ICML 2022.
"""

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightsHeads
from mtlkit.weightings.solvers.bargaining import bargain, capped


@attrs.frozen(kw_only=True)
class NashMTL(GradientWeighting):
    """Nash bargaining solution, G a = 1 / a (Navon et al., ICML 2022, algorithm 1).

    `largest_mean` bounds the mean of the weights, so that no loss trains at more than K times its
    learning rate; None disables the bound, as in the paper. `largest_norm` clips the norm of the
    direction, after that; None disables clipping. Weights are solved every `every` updates.
    """

    largest_mean: float | None = attrs.field(default=1.0, validator=optional(above(0)))
    largest_norm: float | None = attrs.field(default=1.0, validator=optional(above(0)))
    every: int = attrs.field(default=1, validator=at_least(1))

    @property
    def scale_free(self) -> bool:
        return self.largest_mean is None

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "NashMTLWeights":
        return NashMTLWeights(self, terms)


class NashMTLWeights(GramianWeighting, WeightsHeads):
    """Weights a > 0 with G a = 1 / a (claim 3.1), solved every `every` updates.

    All weights are scaled down to the mean `largest_mean`, and those of shared parameters to a
    direction of norm `largest_norm`; the authors' code clips the gradients of shared parameters
    only, too. A gradient of zero gets weight 0.
    """

    def __init__(self, config: NashMTL, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.config = config
        self.kept = nn.Buffer(torch.full((len(terms),), -1.0))  # -1: none yet
        self.age = nn.Buffer(torch.zeros((), dtype=torch.int64))
        self.unclipped = nn.Buffer(torch.zeros(len(terms)), persistent=False)

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        weights = capped(self._solved(gramian, stats), self.config.largest_mean)
        self.unclipped[stats.indices] = weights.to(self.unclipped)
        if self.config.largest_norm is None:
            return weights
        norm = (weights @ gramian @ weights).clamp(min=0).sqrt()
        return weights * (self.config.largest_norm / norm.clamp(min=self.config.largest_norm))

    def head_weights(self, stats: UpdateStats) -> Tensor:
        return self.unclipped[stats.indices]

    def _solved(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        """Return the bargain (K,), solved now or kept from an earlier update."""
        if self.config.every == 1:
            return bargain(gramian)
        # a task without targets when the weights were solved has none yet and triggers a solve
        kept = self.kept[stats.indices].to(gramian)
        stale = (self.age % self.config.every == 0) | (kept < 0).any()
        weights = torch.where(stale, bargain(gramian), kept)
        self.kept[stats.indices] = weights.to(self.kept)
        self.age.add_(1)
        return weights
