"""Paths and leaves of losses in an autograd graph, and the gradients at the end of each path."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import attrs
from torch import _C, Tensor
from torch.autograd.graph import Node, get_gradient_edge

from mtlkit.training.gradients.task_gradients import sum_of

AccumulateGrad = _C._functions.AccumulateGrad
"""The node of a leaf."""


@attrs.frozen(eq=False)
class GraphPath:
    """The graph between a loss and some stops.

    `leaves` are its trained leaves, and `nodes` its other nodes. `edges` maps each node before the
    first stop to the positions of the gradients that it passes to the stop.
    """

    leaves: Sequence[Tensor]
    nodes: set[Node]
    edges: Mapping[Node, Sequence[int]]


def paths_of(roots: Sequence[Tensor], stops: Sequence[Tensor]) -> list[GraphPath]:
    """Return the path from each of `roots` to the `stops`.

    >>> import torch
    >>> a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> features = a * 2
    >>> [path] = paths_of([features * b], [features])
    >>> [leaf is b for leaf in path.leaves], [*path.edges.values()]
    ([True], [[0]])
    """
    edges = [get_gradient_edge(stop) for stop in stops]
    ends = {edge.node for edge in edges}
    first = (edges[0].node, edges[0].output_nr) if edges else None
    return [_path(get_gradient_edge(root).node, ends, first) for root in roots]


def _path(root: Node, ends: set[Node], first: tuple[Node, int] | None) -> GraphPath:
    leaves, nodes, waiting = [], set(ends), [root]
    edges: dict[Node, list[int]] = {}
    while waiting:
        node = waiting.pop()
        if node in nodes:
            continue
        nodes.add(node)
        if isinstance(node, AccumulateGrad):
            leaves.append(node)
            continue
        for position, after in enumerate(node.next_functions):
            if after == first:
                edges.setdefault(node, []).append(position)
            elif after[0] is not None:
                waiting.append(after[0])
    nodes.difference_update(ends, leaves)
    return GraphPath([leaf.variable for leaf in leaves], nodes, edges)


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


def are_separate(paths: Sequence[GraphPath]) -> bool:
    """Return whether no node belongs to several paths; leaves may."""
    return len(set().union(*(path.nodes for path in paths))) == sum(len(p.nodes) for p in paths)


@contextmanager
def recorded(paths: Sequence[GraphPath], end: Tensor) -> Iterator[list[Tensor | None]]:
    """Record the gradient at `end`, the first stop, of each path in the passes of this context.

    The yielded list holds them afterwards. They are not added up at `end`, which gets none.
    """
    rows: list[Tensor | None] = [None] * len(paths)
    hooks = [
        node.register_hook(partial(_record, rows, number, positions, end))
        for number, path in enumerate(paths)
        for node, positions in path.edges.items()
    ]
    try:
        yield rows
    finally:
        for hook in hooks:
            hook.remove()


def _record(
    rows: list[Tensor | None],
    number: int,
    positions: Sequence[int],
    end: Tensor,
    gradients: tuple[Tensor | None, ...],
    _: tuple[Tensor | None, ...],
) -> tuple[Tensor | None, ...]:
    """Move the gradients at `positions` into row `number`, as autograd adds them up at `end`."""
    kept = list(gradients)
    for position in positions:
        gradient, kept[position] = kept[position], None
        if gradient is not None and gradient.shape != end.shape:
            gradient = gradient.sum_to_size(end.shape)
        rows[number] = sum_of(rows[number], None if gradient is None else gradient.to(end.dtype))
    return tuple(kept)
