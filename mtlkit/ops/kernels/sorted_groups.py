"""A linear map for each group of rows: sorted once, one product for each group, one matrix kept.

Sorting puts the rows of a group side by side, so that nothing is gathered for each group and every
group writes its own part of the gradients. While the logits fit a cache only products are made
group by group, and what goes over the logits goes over those of all groups at once, in few calls.
Groups may differ in their number of classes. Where a group begins must be known to the host, which
waits for a GPU once, in the forward pass.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.kernels.costs import CACHED
from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.tiles import accumulator


class Part(NamedTuple):
    """The rows [start, stop) of a group in the sorted order, and its number of classes."""

    group: int
    start: int
    stop: int
    classes: int


class RowBlock(NamedTuple):
    """Rows [start, stop) of some groups, whose logits are gone over at once."""

    start: int
    stop: int
    parts: list[Part]


def row_blocks(counts: Tensor, weights: list[Tensor], logits: Tensor) -> list[RowBlock]:
    """All groups that have rows in one portion, or, where the logits leave the cache, each apart.

    `counts` are the numbers of rows of each group. Rows behind the last portion are of no group.
    """
    parts, start = [], 0
    for group, (rows, weight) in enumerate(zip(counts.tolist(), weights, strict=False)):
        if rows:
            parts.append(Part(group, start, start + rows, len(weight)))
        start += rows
    if parts and logits.nbytes <= CACHED:
        return [RowBlock(0, start, parts)]
    return [RowBlock(part.start, part.stop, [part]) for part in parts]


@custom_op("sorted_groups")
def sorted_groups(
    x: Tensor,
    weights: list[Tensor],
    biases: list[Tensor],
    target: Tensor,
    group: Tensor,
    smoothing: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The losses (N,), 0 where the group (N,) is that of no weight, and what is kept.

    Kept are the rows of x sorted (N, D), their log-probabilities (N, max C), -inf for a class that
    a group does not have, the sorted order (N,) and, on the CPU, the number of rows of each group.
    """
    wide, classes = accumulator(x.dtype), [len(weight) for weight in weights]
    order = torch.argsort(group, stable=True)
    # not by bincount, which would ask a GPU for the largest group and wait for it twice more
    counts = group.new_zeros(len(weights) + 1)
    counts = counts.scatter_add_(0, group, torch.ones_like(group)).cpu()
    rows, labels = x.index_select(0, order), target.index_select(0, order).unsqueeze(1)
    logits = x.new_empty((len(x), max(classes)), dtype=wide)
    if min(classes) < max(classes):
        logits.fill_(-torch.inf)
    found = x.new_zeros(len(x), dtype=wide)
    for begin, end, parts in row_blocks(counts, weights, logits):
        for number, start, stop, size in parts:
            own, given = logits[start:stop, :size], (rows[start:stop], weights[number].T)
            if x.dtype == wide and own.is_contiguous():
                torch.addmm(biases[number], *given, out=own)
            else:
                own.copy_(torch.addmm(biases[number], *given))
        some = logits[begin:end]
        torch.log_softmax(some, dim=1, out=some)
        torch.mul(some.gather(1, labels[begin:end]).squeeze(1), smoothing - 1, out=found[begin:end])
        if smoothing:
            for _, start, stop, size in parts:
                found[start:stop] -= smoothing * logits[start:stop, :size].mean(dim=1)
    losses = torch.empty_like(found).index_copy_(0, order, found)
    return losses, rows, logits, order, counts


@custom_op("sorted_groups_backward")
def sorted_groups_backward(
    rows: Tensor,
    weights: list[Tensor],
    target: Tensor,
    smoothing: float,
    logits: Tensor,
    order: Tensor,
    counts: Tensor,
    of_losses: Tensor,
    need_x: bool,
) -> list[Tensor]:
    """The gradients of x (empty where not needed), of every weight and of every bias."""
    labels = target.index_select(0, order).unsqueeze(1)
    upstream = of_losses.index_select(0, order).unsqueeze(1)
    of_rows = torch.empty_like(rows) if need_x else rows.new_empty(0)
    of_weights = [torch.empty_like(weight) for weight in weights]
    of_biases = [weight.new_zeros(len(weight)) for weight in weights]
    last, empty = 0, set(range(len(weights)))
    for begin, last, parts in row_blocks(counts, weights, logits):
        gradient, own = logits[begin:last].exp(), labels[begin:last]
        gradient.scatter_add_(1, own, gradient.new_full(own.shape, smoothing - 1))
        if smoothing:
            for _, start, stop, size in parts:
                gradient[start - begin : stop - begin, :size] -= smoothing / size
        gradient.mul_(upstream[begin:last])
        low = gradient.to(rows.dtype)
        for number, start, stop, size in parts:
            place = slice(start - begin, stop - begin), slice(size)
            torch.mm(low[place].T, rows[start:stop], out=of_weights[number])
            of_biases[number].copy_(gradient[place].sum(dim=0))
            if need_x:
                torch.mm(low[place], weights[number], out=of_rows[start:stop])
            empty.remove(number)
    for number in empty:
        of_weights[number].zero_()
    of_rows[last:].zero_()  # sorted behind all groups: rows that have none
    of_x = torch.empty_like(rows).index_copy_(0, order, of_rows) if need_x else of_rows
    return [of_x, *of_weights, *of_biases]


@sorted_groups.register_fake
def _(
    x: Tensor,
    weights: list[Tensor],
    biases: list[Tensor],
    target: Tensor,
    group: Tensor,
    smoothing: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    wide = accumulator(x.dtype)
    return (
        x.new_empty(len(x), dtype=wide),
        torch.empty_like(x),
        x.new_empty((len(x), max(map(len, weights))), dtype=wide),
        torch.empty_like(group),
        group.new_empty(len(weights) + 1, device="cpu"),
    )


@sorted_groups_backward.register_fake
def _(
    rows: Tensor,
    weights: list[Tensor],
    target: Tensor,
    smoothing: float,
    logits: Tensor,
    order: Tensor,
    counts: Tensor,
    of_losses: Tensor,
    need_x: bool,
) -> list[Tensor]:
    of_x = torch.empty_like(rows) if need_x else rows.new_empty(0)
    return [of_x, *map(torch.empty_like, weights), *(w.new_empty(len(w)) for w in weights)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weights, _, target, _, ctx.smoothing = inputs
    ctx.need_x = x.requires_grad
    ctx.groups = len(weights)
    ctx.save_for_backward(target, *output[1:], *weights)
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, of_losses: Tensor | None, *_: None) -> tuple[Any, ...]:
    target, rows, storage, order, counts, *weights = ctx.saved_tensors
    if of_losses is None:
        return None, [None] * ctx.groups, [None] * ctx.groups, None, None, None
    of_x, *others = sorted_groups_backward(
        rows, weights, target, ctx.smoothing, storage, order, counts, of_losses, ctx.need_x
    )
    return (
        of_x if ctx.need_x else None, others[: ctx.groups], others[ctx.groups :], None, None, None,
    )  # fmt: skip


sorted_groups.register_autograd(_save, _backward)
