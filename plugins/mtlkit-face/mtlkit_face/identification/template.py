"""Templates whose dot product is the score of eq. 12 of Yin & Liu (TIP 2018).

The paper scores two images by h(y1^d, y2^d) / 2 + sum_ij h(y1^i, y2^j) p1^i p2^j / 2, where h is
the cosine, y^d are the generic identity logits, y^g those of branch g and p^g the probability of
group g. A cosine is a dot product of unit vectors, so the double sum is the dot product of two
weighted sums of unit vectors, and the score is the dot product of one template per image.

Shapes: N samples, C identity classes, G groups.
"""

import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops import match_template
from mtlkit.routers import BranchOutputs


def template(logits: Tensor, branches: BranchOutputs | None = None) -> Tensor:
    """Return templates (N, C), or (N, 2C) with branches; their dot products are the scores.

    `logits` (N, C) are those of the generic branch. The weights of `branches` define the routing:
    by probability (the paper's stochastic routing, eq. 12), to the best branch, or by label.

    >>> import torch
    >>> template(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if branches is None:
        return F.normalize(logits, dim=-1)
    return match_template(logits, branches.logits, branches.weights)


def branch_template(branches: BranchOutputs) -> Tensor:
    """Return the branches' part alone (N, C): sum_g w^g y^g / |y^g|, without normalization."""
    return (F.normalize(branches.logits, dim=-1) * branches.weights.unsqueeze(-1)).sum(dim=-2)


def pixel_template(images: Tensor) -> Tensor:
    """Return the templates (N, K) of the baseline: pixels (N, ...) minus their mean, unit length.

    The dot product of two templates is the correlation of their pixels.
    """
    pixels = images.float().flatten(1)
    return F.normalize(pixels - pixels.mean(dim=1, keepdim=True), dim=1)
