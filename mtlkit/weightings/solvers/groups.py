"""Optimal groups of numbers: k-means in one dimension, exact and without chance.

An optimal group is an interval of the sorted values, so dynamic programming over its bounds finds
the best partition (Fisher, JASA 1958). Shapes: K values, B groups.
"""

import torch
from torch import Tensor


def group_means(values: Tensor, groups: int) -> Tensor:
    """Return the mean (K,) of each value's group, for groups with the least sum of squares.

    There are `groups` of them, or one for each value if there are fewer values.

    >>> group_means(torch.tensor([1.0, 9.0, 2.0, 8.0]), 2).tolist()
    [1.5, 8.5, 1.5, 8.5]
    """
    ordered, order = values.double().sort()
    owner = _owners(_costs(ordered), min(groups, len(values)))
    members = (owner.unsqueeze(0) == owner.unsqueeze(1)).to(ordered)
    means = members @ ordered / members.sum(dim=1)
    return torch.empty_like(means).index_copy(0, order, means).to(values)


def _costs(ordered: Tensor) -> Tensor:
    """Return the sum of squares (K, K) of the values from row to column about their mean."""
    centered = ordered - ordered.mean()  # avoids a loss of precision
    zero = centered.new_zeros(1)
    sums = torch.cat([zero, centered.cumsum(0)])
    squares = torch.cat([zero, centered.square().cumsum(0)])
    steps = torch.arange(len(ordered), device=ordered.device)
    sizes = steps.unsqueeze(0) - steps.unsqueeze(1) + 1
    total = sums[1:].unsqueeze(0) - sums[:-1].unsqueeze(1)
    square = squares[1:].unsqueeze(0) - squares[:-1].unsqueeze(1)
    return torch.where(sizes > 0, square - total.square() / sizes.clamp(min=1), torch.inf)


def _owners(costs: Tensor, groups: int) -> Tensor:
    """Return the number of the group (K,) of each sorted value, from the last group down."""
    best, starts = costs[0], []
    for _ in range(1, groups):
        # before a group that starts at row i, the best partition ends at i - 1
        before = torch.cat([best.new_full((1,), torch.inf), best[:-1]])
        best, start = (before.unsqueeze(1) + costs).min(dim=0)
        starts.append(start)
    places = torch.arange(len(costs), device=costs.device)
    owner = torch.zeros_like(places)
    end = places[-1:]
    for start in reversed(starts):
        first = start.index_select(0, end)  # avoids a device sync
        owner = owner + (places < first)
        end = (first - 1).clamp(min=0)
    return owner
