"""Dynamic weight average (DWA; Liu, Johns & Davison, CVPR 2019)."""

import torch
from torch import Tensor

from mtlkit.vocabulary import LossTerm
from mtlkit.weighting.module import BatchLossWeighting, Known


class DwaWeights(BatchLossWeighting):
    """Weights K softmax(r / T) with r_t = L_t(epoch - 1) / L_t(epoch - 2) (eq. 7).

    The losses of an epoch are means over its updates. A task whose loss was not seen in both epochs
    counts with r = 1, so that the first two epochs have equal weights.
    """

    sums: Tensor
    epoch: Tensor

    def __init__(self, temperature: float, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.temperature = temperature
        # rows: this epoch, the one before it, the one before that; sums of losses and their counts
        self.register_buffer("sums", torch.zeros(3, 2, len(terms)))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    def weights(self, known: Known) -> Tensor:
        self._turn_to(known.moment.epoch)
        self.sums[0, 0].index_add_(0, known.places, known.losses)
        self.sums[0, 1].index_add_(0, known.places, torch.ones_like(known.losses))
        (_, one, two) = self.sums[:, 0] / self.sums[:, 1]  # 0 / 0 where nothing was seen
        rate = (one / two)[known.places]
        rate = torch.where(rate.isfinite(), rate, torch.ones_like(rate))
        return len(rate) * (rate / self.temperature).softmax(dim=0)

    def _turn_to(self, epoch: int) -> None:
        """Make room for `epoch`, should it be a new one."""
        new = epoch - self.epoch
        self.epoch.fill_(epoch)
        moved = torch.cat([torch.zeros_like(self.sums[:1]), self.sums[:-1]])
        self.sums.copy_(torch.where(new > 0, moved, self.sums))
