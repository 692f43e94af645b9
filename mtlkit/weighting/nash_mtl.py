"""Multi-task learning as a bargaining game (Nash-MTL; Navon et al., ICML 2022)."""

import torch
from torch import Tensor

from mtlkit.vocabulary import LossTerm
from mtlkit.weighting.configs import NashMtl
from mtlkit.weighting.gramian import cosines, inverse_norms
from mtlkit.weighting.module import GramianWeighting, Known

STEPS = 16
"""Steps of Newton's method, of which gradients with a solution were seen to need 7 at most.

Opposite gradients have none; the last step then is as far out as it came.
"""


class NashMtlWeights(GramianWeighting):
    """Weights a > 0 with G a = 1 / a (claim 3.1): each task gains as much as the others' product.

    In units of the norms that is C b = 1 / b, with cosines C and a = b / |g|, the minimum of
    b' C b / 2 - sum log b, which damped Newton steps reach from anywhere (the function is
    self-concordant). The direction is then shortened to `largest_norm`. A gradient of zero gains
    nothing whatever it pays: it gets the weight 0. For `every` updates the weights are kept.
    """

    kept: Tensor
    age: Tensor

    def __init__(self, config: NashMtl, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.largest_norm, self.every = config.largest_norm, config.every
        self.register_buffer("kept", torch.zeros(len(terms)))
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))

    def forward(self, gramian: Tensor, known: Known) -> Tensor:
        if self.every == 1:
            return self._shortened(bargain(gramian), gramian)
        # a task that was absent when the weights were made has none yet, and is bargained for
        kept = self.kept[known.places].to(gramian)
        stale = (self.age % self.every == 0) | (kept == 0).any()
        weights = torch.where(stale, bargain(gramian), kept)
        self.kept[known.places] = weights.to(self.kept)
        self.age += 1
        return self._shortened(weights, gramian)

    def _shortened(self, weights: Tensor, gramian: Tensor) -> Tensor:
        if self.largest_norm is None:
            return weights
        length = (weights @ gramian @ weights).clamp(min=0).sqrt()
        return weights * (self.largest_norm / length.clamp(min=self.largest_norm))


def bargain(gramian: Tensor) -> Tensor:
    """The weights a (K,) with G a = 1 / a.

    >>> bargain(torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)).tolist()
    [0.5, 1.0]
    """
    inverse = inverse_norms(gramian)
    matrix = cosines(gramian, inverse)
    matrix.diagonal().fill_(1)  # a gradient of zero bargains by itself, and then for nothing
    # the best b of equal entries; conflicting gradients begin far out, where they meet
    b = (len(matrix) / matrix.sum().clamp(min=1e-3)).sqrt().expand_as(inverse)
    for _ in range(STEPS):
        # in units of b the Hessian b C b + 1 is never singular
        slope = b * (matrix @ b) - 1
        hessian = b.unsqueeze(1) * matrix * b
        hessian.diagonal().add_(1)
        move, _ = torch.linalg.solve_ex(hessian, slope)
        decrement = (slope * move).sum().clamp(min=0).sqrt()
        length = torch.where(decrement < 0.25, 1.0, 1 / (1 + decrement))
        b = b * (1 - length * move).clamp(min=0.01)
        if not b.is_cuda and decrement < 1e-4:  # on a CPU, asking costs nothing
            break
    return b * inverse
