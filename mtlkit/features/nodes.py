"""Vectors of the nodes of graphs, or of the elements of sets, of different sizes."""

import attrs
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.features.base import Context, FeatureSpec

GRAPH = "graph"
"""Name of the index (M,) of each node's sample, in the context of nodes."""

SIZES = "sizes"
"""Name of the number of nodes (N,) of each sample, in the context of nodes."""


@attrs.frozen(kw_only=True)
class NodeFeatures(FeatureSpec):
    """A vector for each of the M nodes of all samples: features (M, `width`).

    The context holds the index `graph` (M,) of each node's sample and the number of nodes `sizes`
    (N,) of each sample.

    >>> import torch
    >>> context = {"graph": torch.tensor([0, 1, 1]), "sizes": torch.tensor([1, 2])}
    >>> NodeFeatures(width=1).pool(torch.tensor([[5.0], [2.0], [4.0]]), context).tolist()
    [[5.0], [3.0]]
    """

    kind = "nodes"
    shape = "(M, D)"
    dims = 2

    width: int = attrs.field(validator=at_least(1))

    def pool(self, features: Tensor, context: Context) -> Tensor:
        sizes = context[SIZES]
        sums = features.new_zeros(len(sizes), features.shape[1])
        sums = sums.index_add(0, context[GRAPH], features)
        return sums / sizes.clamp(min=1).unsqueeze(1)

    def max_pool(self, features: Tensor, context: Context) -> Tensor:
        sizes = context[SIZES]
        index = context[GRAPH].unsqueeze(1).expand_as(features)
        empty = features.new_zeros(len(sizes), features.shape[1])
        return empty.scatter_reduce(0, index, features, "amax", include_self=False)

    def mismatch(self, features: Tensor, samples: int) -> str | None:
        return super().mismatch(features, len(features))  # nodes are not counted by samples
