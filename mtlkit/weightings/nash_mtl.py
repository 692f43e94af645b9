"""Multi-task learning as a bargaining game (Nash-MTL; Navon et al., ICML 2022).

Paper: Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron, Kenji Kawaguchi, Gal Chechik and
Ethan Fetaya, "Multi-Task Learning as a Bargaining Game", ICML 2022.
"""

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, at_least, optional
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientWeighting
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats, WeightingModule
from mtlkit.weightings.solvers.bargaining import bargain


@attrs.frozen(kw_only=True)
class NashMTL(GradientWeighting):
    """Nash bargaining solution, G a = 1 / a (Navon et al., ICML 2022, algorithm 1).

    `largest_norm` clips the norm of the direction; None disables clipping. Weights are solved every
    `every` updates.
    """

    largest_norm: float | None = attrs.field(default=1.0, validator=optional(above(0)))
    every: int = attrs.field(default=1, validator=at_least(1))

    @property
    def scale_free(self) -> bool:
        return True

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        return NashMTLWeights(self, terms)


class NashMTLWeights(GramianWeighting):
    """Weights a > 0 with G a = 1 / a (claim 3.1), solved every `every` updates.

    The norm of the direction is clipped to `largest_norm`. A gradient of zero gets weight 0.
    """

    kept: Tensor
    age: Tensor

    def __init__(self, config: NashMTL, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.largest_norm, self.every = config.largest_norm, config.every
        self.register_buffer("kept", torch.full((len(terms),), -1.0))  # -1: none yet
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        if self.every == 1:
            return self._clip(bargain(gramian), gramian)
        # a task without targets when the weights were solved has none yet and triggers a solve
        kept = self.kept[stats.indices].to(gramian)
        stale = (self.age % self.every == 0) | (kept < 0).any()
        weights = torch.where(stale, bargain(gramian), kept)
        self.kept[stats.indices] = weights.to(self.kept)
        self.age += 1
        return self._clip(weights, gramian)

    def _clip(self, weights: Tensor, gramian: Tensor) -> Tensor:
        if self.largest_norm is None:
            return weights
        norm = (weights @ gramian @ weights).clamp(min=0).sqrt()
        return weights * (self.largest_norm / norm.clamp(min=self.largest_norm))
