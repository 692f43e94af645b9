"""Weights averaged over updates (CR-MOGM; Zhou et al., NeurIPS 2022).

Paper: Shiji Zhou, Wenpeng Zhang, Jiyan Jiang, Wenliang Zhong, Jinjie Gu and Wenwu Zhu, "On the
Convergence of Stochastic Multi-Objective Gradient Manipulation and Beyond", NeurIPS 2022.
"""

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import Problem, below
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientLocation, GradientWeighting, HeadGradients
from mtlkit.weightings.kinds import GramianWeighting, UpdateStats
from mtlkit.weightings.mgda import MGDA


@attrs.frozen(kw_only=True)
class CRMOGM(GradientWeighting):
    """Weights of another weighting, averaged over updates (CR-MOGM; Zhou et al., NeurIPS 2022).

    `of` is the other weighting, and `momentum` the factor of the previous average.
    """

    of: GradientWeighting = attrs.field(factory=MGDA)
    momentum: float = attrs.field(default=0.9, validator=below(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.of.returns_direction or self.of.compares_samples:
            yield Problem(
                ("weighting", "of"),
                f"got {type(self.of).__name__}, expected a weighting that maps the Gramian of one "
                f"update to weights; use one such as `mgda`",
            )
            return
        for option, default in (
            ("at", GradientLocation.FEATURES),
            ("heads", HeadGradients.UNWEIGHTED),
        ):
            if getattr(self.of, option) is not default:
                yield Problem(
                    ("weighting", "of", option),
                    f"CRMOGM ignores `{option}` of the inner weighting; set `{option}` next to "
                    f"`of` instead",
                )
        yield from self.of.problems(terms)

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "CRMOGMWeights":
        return CRMOGMWeights(self, terms, features)


class CRMOGMWeights(GramianWeighting):
    """Weights a w_before + (1 - a) w, with another weighting's w (algorithm 1); w at first."""

    def __init__(self, config: CRMOGM, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        inner = config.of.build(terms, features)
        if not isinstance(inner, GramianWeighting):
            raise TypeError(f"{type(config.of).__name__}.build must return a GramianWeighting")
        self.of = inner
        self.momentum = config.momentum
        self.values = nn.Buffer(torch.zeros(len(terms)))
        self.updates = nn.Buffer(torch.zeros(len(terms)))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        at = stats.indices
        newest: Tensor = self.of(gramian, stats)
        kept = self.momentum * (self.updates[at] > 0).to(newest)
        weights = newest + kept * (self.values[at].to(newest) - newest)
        self.values[at] = weights.to(self.values)
        self.updates[at] += 1
        return weights
