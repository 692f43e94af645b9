"""Trained leaves of an autograd graph."""

from collections.abc import Iterable

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge


def leaves_of(roots: Iterable[Tensor], stops: Iterable[Tensor] = ()) -> list[Tensor]:
    """Return the leaves that `roots` depend on, without the paths through `stops`.

    >>> import torch
    >>> a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> features = a * 2
    >>> [leaf is b for leaf in leaves_of([features * b], stops=[features])]
    [True]
    """
    visited: set[Node] = {get_gradient_edge(stop).node for stop in stops}
    waiting = [get_gradient_edge(root).node for root in roots]
    leaves: dict[Tensor, None] = {}  # in the order of the graph, which is that of the next step
    while waiting:
        node = waiting.pop()
        if node in visited:
            continue
        visited.add(node)
        leaf = getattr(node, "variable", None)  # only the nodes of leaves hold one
        if leaf is not None:
            leaves[leaf] = None
        waiting.extend(after for after, _ in node.next_functions if after is not None)
    return list(leaves)
