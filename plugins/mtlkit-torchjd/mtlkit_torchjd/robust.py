"""Aggregation that distrusts some of the gradients (Krum and the trimmed mean), by TorchJD."""

import torch
from torch import Tensor
from torchjd.aggregation import KrumWeighting
from torchjd.aggregation import TrimmedMean as Aggregator

from mtlkit.weightings import Direction, GramianWeighting, JacobianWeighting, UpdateStats, scatter
from mtlkit_torchjd.along import along
from mtlkit_torchjd.configs import Krum, TrimmedMean


class KrumWeights(GramianWeighting):
    """Equal weights for the chosen gradients, those with the least distance to their neighbours.

    A gradient of zero lies near all others and would often be chosen, which would end training: it
    is no proposal here, and neither chosen nor counted. Fewer than three others are all chosen.
    Between two gradients of the same distance, as each other's nearest have, `torch.topk` decides.
    Short gradients lie near each other, and so are chosen before long ones.
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
            # distances must be the same both ways, or rounding chooses between two neighbours
            weights = self.chooser((present + present.T) / 2)
        return scatter(weights, moving, len(gramian))


class TrimmedMeanDirection(JacobianWeighting):
    """The mean of each coordinate's values without the largest and the smallest ones.

    Of three gradients it is the median, so opposite ones leave what the third has between them. A
    gradient of zero is a value like others and trimmed where it is an extreme. A long gradient
    counts for no more than the others. Where a gradient is not finite, neither is the direction:
    that is an error, and not an extreme to be trimmed.
    """

    def __init__(self, config: TrimmedMean) -> None:
        super().__init__()
        self.trim = config.trim
        self.aggregator = Aggregator(config.trim)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        self.aggregator.trim_number = min(self.trim, (len(jacobian) - 1) // 2)
        finite = jacobian.sum(dim=0).isfinite()
        direction = torch.where(finite, self.aggregator(jacobian), torch.nan)
        return Direction(direction, along(jacobian, direction))
