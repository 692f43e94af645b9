"""The Gramian of gradients at parameters, without ever holding the Jacobian.

The graph of a network narrows to one node here and there: between layers, between residual blocks.
There it can be cut, and the gradients of all T tasks carried through one segment after the other.
Of each segment the Jacobian (T, p) is made, added to the Gramian and forgotten, so that the most
that is held is that of the largest segment; and every node is passed T times, no more than by T
backward passes. A graph that never narrows, such as that behind `torch.compile`, is one segment.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from mtlkit.training.gradients.gramian import gramian_of

PARTS = 16
"""Segments are joined until each holds about this part of all parameters: calls cost time too."""

Edge = tuple[Node, int]  # a node, and which of its forward outputs the gradient is of
Rows = Sequence[Tensor | None]  # one task's gradient at each edge; None where it has none


@attrs.frozen(eq=False)
class Segment:
    """A part of the graph: gradients come in at `starts`, reach `parameters`, go on at `ends`."""

    starts: tuple[GradientEdge, ...]
    parameters: tuple[Tensor, ...]
    ends: tuple[GradientEdge, ...]

    def carry(self, row: Rows) -> tuple[Rows, Rows]:
        """One task's gradients at the parameters and at the ends, from those at the starts."""
        inputs: tuple[Any, ...] = (*self.parameters, *self.ends)
        given = [(s, part) for s, part in zip(self.starts, row, strict=True) if part is not None]
        if not given or not inputs:
            return [None] * len(self.parameters), [None] * len(self.ends)
        starts, parts = zip(*given, strict=True)
        found = torch.autograd.grad(starts, inputs, parts, retain_graph=True, allow_unused=True)
        return found[: len(self.parameters)], found[len(self.parameters) :]

    def put(self, row: Tensor, found: Rows) -> None:
        """Write gradients at the parameters into a `row` (p,) of zeros."""
        start = 0
        for p, part in zip(self.parameters, found, strict=True):
            if part is not None:
                row[start : start + p.numel()] = part.flatten()
            start += p.numel()


def segment_gramian(
    segments: Sequence[Segment], rows: Sequence[Rows], reduce: Callable[[Tensor], Tensor]
) -> Tensor:
    """The Gramian (T, T) of the gradients that `rows`, one for each task, become at the parameters.

    `rows` are gradients at the starts of the first segment. `reduce` sums a Jacobian over ranks,
    for the gradient of the joined batch is what counts.
    """
    total: Tensor | None = None
    for segment in segments:
        first = segment.parameters[0]
        size = sum(p.numel() for p in segment.parameters)
        jacobian = first.new_zeros(len(rows), size, dtype=torch.float32)
        after = []
        for row, own in zip(rows, jacobian, strict=True):
            found, ends = segment.carry(row)
            segment.put(own, found)
            after.append(ends)
            del found  # one task's gradients are held beside the Jacobian, not all
        rows = after
        gramian = gramian_of(reduce(jacobian))
        total = gramian if total is None else total + gramian
    assert total is not None
    return total


def segments_of(ends: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Segment]:
    """The segments between `ends`, where gradients come in, and the `parameters` they reach."""
    of_node = {get_gradient_edge(p).node: p for p in parameters}
    roots = [get_gradient_edge(end) for end in ends]
    graph = _Graph([(edge.node, edge.output_nr) for edge in roots])
    stretches = _joined(list(graph.stretches(of_node)), sum(p.numel() for p in parameters))
    starts = [tuple(roots), *(_edges(entrance) for _, entrance in stretches[:-1])]
    segments = []
    for place, (nodes, _) in enumerate(stretches):
        own = tuple(of_node[node] for node in nodes)
        after = starts[place + 1] if place + 1 < len(starts) else ()
        segments.append(Segment(starts[place], own, after))
    return segments


def _edges(entrance: Sequence[Edge]) -> tuple[GradientEdge, ...]:
    return tuple(GradientEdge(node, number) for node, number in entrance)


Stretch = tuple[list[Node], Sequence[Edge]]  # nodes of parameters, and how the next stretch begins


class _Graph:
    """The backward graph behind `roots`, and where it narrows to one node."""

    def __init__(self, roots: Sequence[Edge]) -> None:
        self.roots = roots
        self.entrances: dict[Node, dict[int, int]] = {}  # node: which output, how many edges
        self.height: dict[Node, int] = {}  # the longest way to a leaf
        for node, number in roots:
            self._enter(node, number)
        waiting = [(node, False) for node, _ in roots]
        seen: set[Node] = set()
        while waiting:
            node, left = waiting.pop()
            if left:
                below = [self.height[after] for after, _ in _next(node)]
                self.height[node] = 1 + max(below, default=0)
            elif node not in seen:
                seen.add(node)
                waiting.append((node, True))
                for after, number in _next(node):
                    self._enter(after, number)
                    waiting.append((after, False))

    def _enter(self, node: Node, number: int) -> None:
        into = self.entrances.setdefault(node, {})
        into[number] = into.get(number, 0) + 1

    def stretches(self, leaves: dict[Node, Tensor]) -> Iterator[Stretch]:
        """The leaves between each place where all gradients pass one node, and that node's edges.

        Nodes are taken once everything before them was, short side ways (to a weight) first.
        """
        missing = {node: sum(into.values()) for node, into in self.entrances.items()}
        order = count()
        reached: set[Node] = set()
        ready: list[tuple[int, int, Node]] = []

        def arrive(edges: Sequence[Edge]) -> None:
            for node, _ in edges:
                reached.add(node)
                missing[node] -= 1
                if missing[node] == 0:
                    heapq.heappush(ready, (self.height[node], next(order), node))

        arrive(self.roots)
        own: list[Node] = []
        while ready:
            _, _, node = heapq.heappop(ready)
            if own and len(reached) == 1 and node not in leaves:
                yield own, [(node, number) for number in self.entrances[node]]
                own = []
            reached.remove(node)
            if node in leaves:
                own.append(node)
            arrive(_next(node))
        yield own, ()


def _next(node: Node) -> list[Edge]:
    return [(after, number) for after, number in node.next_functions if after is not None]


def _joined(stretches: Sequence[Stretch], total: int) -> list[Stretch]:
    """Neighbours joined until each holds a sixteenth of all `total` elements; none is empty."""
    found: list[Stretch] = []
    own: list[Node] = []
    size = 0
    for nodes, entrance in stretches:
        own = [*own, *nodes]
        size += sum(_elements(node) for node in nodes)
        if size * PARTS >= total and entrance:
            found.append((own, entrance))
            own, size = [], 0
    if own or not found:
        found.append((own, ()))
    else:
        found[-1] = (found[-1][0], ())
    return found


def _elements(node: Node) -> int:
    variable: Tensor = node.variable  # type: ignore[attr-defined] # the node of a leaf
    return variable.numel()
