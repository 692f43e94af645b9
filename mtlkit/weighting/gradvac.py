"""Gradient vaccine (GradVac; Wang et al., ICLR 2021)."""

import torch
from torch import Tensor

from mtlkit.vocabulary import LossTerm
from mtlkit.weighting.gramian import norms
from mtlkit.weighting.module import GramianWeighting, Known
from mtlkit.weighting.pcgrad import meetings


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

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        own = torch.eye(len(gramian), dtype=gramian.dtype, device=gramian.device)
        length = norms(gramian)
        grid = (known.places.unsqueeze(1), known.places.unsqueeze(0))
        targets = self.targets[grid].to(gramian)
        for met in meetings(len(gramian), known).to(gramian.device).T:
            at = met.unsqueeze(1)
            products = own @ gramian
            norm = (products * own).sum(dim=1).clamp(min=0).sqrt()
            other = length[met]
            both = norm * other
            cosine = torch.where(
                both > 0, products.gather(1, at).squeeze(1) / both.where(both > 0, 1.0), 0.0
            ).clamp(-1, 1)
            target = targets.gather(1, at).squeeze(1)
            sine, wanted = (1 - cosine.square()).sqrt(), (1 - target.square()).sqrt()
            added = norm * (target * sine - cosine * wanted) / (other * wanted)
            short = (cosine < target) & (both > 0) & (wanted > 0)
            own = own.scatter_add(1, at, torch.where(short, added, 0.0).unsqueeze(1))
            targets = targets.scatter(1, at, target.lerp(cosine, self.rate).unsqueeze(1))
        self.targets[grid] = targets.to(self.targets)
        return own.sum(dim=0)
