"""Trained leaves of an autograd graph, and dependencies in it."""

from collections.abc import Iterable, Iterator

from torch import _C, Tensor
from torch.autograd.graph import Node, get_gradient_edge

AccumulateGrad = _C._functions.AccumulateGrad
"""The node of a leaf."""


def leaves_of(roots: Iterable[Tensor], stops: Iterable[Tensor] = ()) -> list[Tensor]:
    """Return the leaves that `roots` depend on, without the paths through `stops`.

    >>> import torch
    >>> a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> features = a * 2
    >>> [leaf is b for leaf in leaves_of([features * b], stops=[features])]
    [True]
    """
    visited: set[Node] = {get_gradient_edge(stop).node for stop in stops}
    nodes = _nodes([get_gradient_edge(root).node for root in roots], visited)
    return [node.variable for node in nodes if isinstance(node, AccumulateGrad)]


def depends_on(tensor: Tensor, others: Iterable[Tensor]) -> bool:
    """Return whether `tensor` is computed from one of the `others`.

    >>> import torch
    >>> a = torch.ones(1, requires_grad=True)
    >>> b = a * 2
    >>> depends_on(b, [a]), depends_on(a, [b])
    (True, False)
    """
    start = get_gradient_edge(tensor).node
    before = {get_gradient_edge(other).node for other in others} - {start}
    return any(node in before for node in _nodes([start], set()))


def _nodes(waiting: list[Node], visited: set[Node]) -> Iterator[Node]:
    """Yield the nodes of the graph from those `waiting`, without the ones already `visited`."""
    while waiting:
        node = waiting.pop()
        if node not in visited:
            visited.add(node)
            yield node
            waiting.extend(after for after, _ in node.next_functions if after is not None)
