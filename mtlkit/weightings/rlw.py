"""Random weights (RLW; Lin et al., TMLR 2022)."""

import torch
from torch import Tensor

from mtlkit.weightings.kinds import BatchLossWeighting, Known


class RLWWeights(BatchLossWeighting):
    """Weights softmax(z) with z from N(0, I), drawn anew for each update, the same on every rank.

    Their sum is 1. A scheme that does not beat them has shown nothing.
    """

    def weights(self, known: Known) -> Tensor:
        drawn = torch.randn(len(known.losses), generator=known.moment.generator())
        return drawn.softmax(dim=0).to(known.losses)
