"""Matching templates: eq. 12 of Yin & Liu (TIP 2018) as one dot product.

The paper scores two images by h(y1^d, y2^d) / 2 + sum_ij h(y1^i, y2^j) p1^i p2^j / 2, where h is
the cosine, y^d are the generic identity logits, y^g those of branch g and p^g the probability of
group g. A cosine is a dot product of unit vectors, so the double sum is that of two weighted means
of unit vectors, and the score is the dot product of one template for each image.

Shapes: N samples, C identity classes, G groups.
"""

import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops import match_template
from mtlkit.routers import BranchOutputs


def template(logits: Tensor, branches: BranchOutputs | None = None) -> Tensor:
    """Templates (N, C), or (N, 2C) with branches; the score of two images is their dot product.

    `logits` (N, C) are those of the generic branch. The branches' weights say how they are routed:
    by probability (the paper's stochastic routing, eq. 12), to the best branch, or by label.

    >>> import torch
    >>> template(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if branches is None:
        return F.normalize(logits, dim=-1)
    return match_template(logits, branches.logits, branches.weights)


def branch_template(branches: BranchOutputs) -> Tensor:
    """The branches' part alone (N, C): sum_g w^g y^g / |y^g|, not normalised again."""
    return (F.normalize(branches.logits, dim=-1) * branches.weights.unsqueeze(-1)).sum(dim=-2)


def pixel_template(images: Tensor) -> Tensor:
    """The baseline without a network: pixels (N, ...) less their mean, as unit vectors (N, K).

    The dot product of two is the correlation of their pixels.
    """
    pixels = images.float().flatten(1)
    return F.normalize(pixels - pixels.mean(dim=1, keepdim=True), dim=1)
