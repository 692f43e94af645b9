"""Weightings that map the Jacobian to a direction instead of to weights."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.plugins import LossTerm, Problem
from mtlkit.weightings import GradientWeighting, HeadGradients


@attrs.frozen(kw_only=True)
class DirectionWeighting(GradientWeighting):
    """Base of the weightings without weights, which refuse `heads: weighted`.

    As weights they log the `progress` of the direction along each gradient.
    """

    returns_direction: ClassVar[bool] = True

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.heads is HeadGradients.WEIGHTED:
            yield Problem(
                ("weighting", "heads"),
                f"{type(self).__name__} computes a direction instead of weights, so it cannot "
                f"weight the heads; use `heads: unweighted`",
            )


def progress(jacobian: Tensor, direction: Tensor) -> Tensor:
    """Return d . g_k / |g_k|^2 (K,) for a direction d (P,) and the rows g_k of `jacobian` (K, P).

    This is the rate at which loss k falls along d, relative to its rate along its own gradient; 0
    for a gradient of zero. If the gradients are orthogonal, these are the weights that combine
    them to d.

    >>> progress(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([1.0, 4.0])).tolist()
    [0.5, 1.0]
    """
    # float64 norms and a unit direction keep very short and very long rows in range
    norms = torch.linalg.vector_norm(jacobian, dim=1, dtype=torch.float64)
    norm = torch.linalg.vector_norm(direction, dtype=torch.float64)
    unit = direction / norm.where(norm > 0, 1.0)
    products = (jacobian @ unit.to(jacobian)).double() * norm
    ratios = torch.where(norms > 0, products / norms.square(), torch.zeros_like(norms))
    return ratios.to(jacobian)
