"""Mean of the gradients nearest to most others (Krum; Blanchard et al., 2017), by TorchJD."""

from collections.abc import Iterable, Sequence

import attrs
from torch import Tensor
from torchjd.aggregation import KrumWeighting

from mtlkit.plugins import LossTerm, Problem, at_least
from mtlkit.weightings import (
    GradientWeighting,
    GramianWeighting,
    UpdateStats,
    WeightingModule,
    scatter,
)


@attrs.frozen(kw_only=True)
class Krum(GradientWeighting):
    """The mean of the gradients nearest to most others (Krum; Blanchard et al., NeurIPS 2017).

    `suspects` is the assumed number of misleading gradients, which is left out of each one's
    distance to the others; `chosen` is the number of gradients in the mean. Updates in which too
    few losses have a label have fewer suspects.
    """

    suspects: int = attrs.field(default=1, validator=at_least(0))
    chosen: int = attrs.field(default=1, validator=at_least(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        for option, required in (("suspects", self.suspects + 3), ("chosen", self.chosen)):
            if len(terms) < required:
                yield Problem(
                    ("weighting", option),
                    f"got {len(terms)} losses, expected at least {required} for Krum with "
                    f"`{option}: {getattr(self, option)}`; use a smaller number, or another "
                    f"weighting",
                )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return KrumWeights(self)


class KrumWeights(GramianWeighting):
    """Equal weights for the chosen gradients, those with the least distance to their neighbors.

    A gradient of zero lies near all others and would often be chosen, which would end training, so
    it is neither chosen nor counted. Fewer than three others are all chosen. `torch.topk` breaks
    ties, which mutual nearest neighbors always have. Short gradients lie near each other and are
    chosen before long ones.
    """

    def __init__(self, config: Krum) -> None:
        super().__init__()
        self.config = config
        self.chooser = KrumWeighting(config.suspects, config.chosen)

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        moving = (gramian.diagonal() > 0).nonzero().flatten()
        count = len(moving)
        if count < 3:
            weights = gramian.new_full((count,), 1 / max(count, 1))
        else:
            self.chooser.n_byzantine = min(self.config.suspects, count - 3)
            self.chooser.n_selected = min(self.config.chosen, count)
            present = gramian[moving][:, moving]
            # symmetric distances; otherwise rounding decides between two neighbors
            weights = self.chooser((present + present.T) / 2)
        return scatter(weights, moving, len(gramian))
