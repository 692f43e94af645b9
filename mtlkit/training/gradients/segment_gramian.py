"""The Gramian of gradients at parameters, without storing the whole Jacobian.

The graph of a network narrows to single nodes between layers and between residual blocks. It is cut
at these nodes, and the gradients of all T tasks are propagated through one segment after another.
The Jacobian (T, p) of each segment is computed, added to the Gramian and released, so peak memory
is that of the largest segment. Every node is visited T times, as in T backward passes. A graph that
never narrows, such as that of `torch.compile`, is one segment.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, pairwise
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from mtlkit.training.gradients.ends import Gradients, write_row
from mtlkit.training.gradients.gramian import gramian_of

PARTS = 16
"""Segments are merged until each has at least 1/PARTS of all parameters, to save calls."""

Edge = tuple[Node, int]  # a node, and the index of its forward output


@attrs.frozen(eq=False)
class Segment:
    """A part of the graph: gradients enter at `starts`, reach `parameters`, leave at `ends`."""

    starts: tuple[GradientEdge, ...]
    parameters: tuple[Tensor, ...]
    ends: tuple[GradientEdge, ...]

    def backward(self, row: Gradients) -> tuple[Gradients, Gradients]:
        """Return one task's gradients at the parameters and the ends, from those at the starts."""
        inputs: tuple[Any, ...] = (*self.parameters, *self.ends)
        present = [(s, part) for s, part in zip(self.starts, row, strict=True) if part is not None]
        if not present or not inputs:
            return [None] * len(self.parameters), [None] * len(self.ends)
        starts, parts = zip(*present, strict=True)
        gradients = torch.autograd.grad(starts, inputs, parts, retain_graph=True, allow_unused=True)
        return gradients[: len(self.parameters)], gradients[len(self.parameters) :]


def segment_gramian(
    segments: Sequence[Segment], rows: Sequence[Gradients], reduce: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the Gramian (T, T) of the tasks' gradients at the parameters of all segments.

    `rows` are each task's gradients at the starts of the first segment. `reduce` sums a Jacobian
    over ranks, since the Gramian is that of the whole batch.
    """
    gramians = []
    for segment in segments:
        first = segment.parameters[0]
        size = sum(p.numel() for p in segment.parameters)
        jacobian = first.new_zeros(len(rows), size, dtype=torch.float32)
        after = []
        for row, target in zip(rows, jacobian, strict=True):
            gradients, ends = segment.backward(row)
            write_row(target, segment.parameters, gradients)
            after.append(ends)
            del gradients  # free them before those of the next task are computed
        rows = after
        gramians.append(gramian_of(reduce(jacobian)))
    return sum(gramians[1:], gramians[0])


def segments_of(ends: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Segment]:
    """Return the segments between `ends`, where gradients enter, and `parameters`."""
    of_node = {get_gradient_edge(p).node: p for p in parameters}
    roots = [get_gradient_edge(end) for end in ends]
    graph = _Graph([(edge.node, edge.output_nr) for edge in roots])
    stretches = _merged(list(graph.stretches(of_node)), of_node)
    edges = pairwise([tuple(roots), *(entrance for _, entrance in stretches)])
    return [
        Segment(starts, tuple(of_node[node] for node in nodes), ends)
        for (nodes, _), (starts, ends) in zip(stretches, edges, strict=True)
    ]


Stretch = tuple[list[Node], tuple[GradientEdge, ...]]
"""Parameter nodes, and the edges into the next stretch."""


class _Graph:
    """The backward graph from `roots`, and the nodes to which it narrows."""

    def __init__(self, roots: Sequence[Edge]) -> None:
        self.roots = roots
        self.entrances: dict[Node, dict[int, int]] = {}  # node: number of edges by output
        self.height: dict[Node, int] = {}  # the longest path to a leaf
        for node, number in roots:
            self._enter(node, number)
        waiting = [(node, False) for node, _ in roots]
        visited: set[Node] = set()
        while waiting:
            node, left = waiting.pop()
            if left:
                below = [self.height[after] for after, _ in _next(node)]
                self.height[node] = 1 + max(below, default=0)
            elif node not in visited:
                visited.add(node)
                waiting.append((node, True))
                for after, number in _next(node):
                    self._enter(after, number)
                    waiting.append((after, False))

    def _enter(self, node: Node, number: int) -> None:
        into = self.entrances.setdefault(node, {})
        into[number] = into.get(number, 0) + 1

    def stretches(self, leaves: dict[Node, Tensor]) -> Iterator[Stretch]:
        """Yield the leaves before each node that all gradients pass, and the edges into that node.

        Nodes are visited in topological order, short branches (to a weight) first.
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
        passed: list[Node] = []
        while ready:
            _, _, node = heapq.heappop(ready)
            if passed and len(reached) == 1 and node not in leaves:
                yield passed, tuple(GradientEdge(node, n) for n in self.entrances[node])
                passed = []
            reached.remove(node)
            if node in leaves:
                passed.append(node)
            arrive(_next(node))
        yield passed, ()


def _next(node: Node) -> list[Edge]:
    return [(after, number) for after, number in node.next_functions if after is not None]


def _merged(stretches: Sequence[Stretch], leaves: Mapping[Node, Tensor]) -> list[Stretch]:
    """Merge adjacent stretches until each has 1/PARTS of all elements; none is empty."""
    total = sum(leaf.numel() for leaf in leaves.values())
    merged: list[Stretch] = []
    group: list[Node] = []
    size = 0
    for nodes, entrance in stretches:
        group = [*group, *nodes]
        size += sum(leaves[node].numel() for node in nodes)
        if size * PARTS >= total and entrance:
            merged.append((group, entrance))
            group, size = [], 0
    if group or not merged:
        merged.append((group, ()))
    else:
        merged[-1] = (merged[-1][0], ())
    return merged
