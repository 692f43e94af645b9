"""A linear map for each group of rows: sorted once, one product for each group, one matrix kept.

Sorting puts the rows of a group side by side, so that nothing is gathered for each group and every
group writes its own part of the gradients. If the logits fit a cache, only products are computed
group by group; passes over the logits cover those of all groups at once, in few calls. Groups may
differ in their number of classes. The host reads the start of each group, which takes one sync with
a GPU, in the forward pass.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.kernels.costs import CACHED
from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.tiles import accumulator


class GroupRows(NamedTuple):
    """The rows [start, stop) of a group in the sorted order, and its number of classes."""

    group: int
    start: int
    stop: int
    classes: int


class RowBlock(NamedTuple):
    """Rows [start, stop) of some groups, whose logits are processed together."""

    start: int
    stop: int
    parts: list[GroupRows]


def row_blocks(counts: Tensor, weights: list[Tensor], logits: Tensor) -> list[RowBlock]:
    """Return one block of all groups that have rows, or one for each if logits exceed the cache.

    `counts` are the numbers of rows of each group. Rows after the last block have no group.
    """
    parts, start = [], 0
    for group, (rows, weight) in enumerate(zip(counts.tolist(), weights, strict=False)):
        if rows:
            parts.append(GroupRows(group, start, start + rows, len(weight)))
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
    """Return the losses (N,), 0 where the group (N,) has no weight, and saved tensors.

    Saved are the rows of x sorted (N, D), their log-probabilities (N, max C), -inf for a class that
    a group does not have, the sorted order (N,) and, on the CPU, the number of rows of each group.
    """
    wide, classes = accumulator(x.dtype), [len(weight) for weight in weights]
    order = torch.argsort(group, stable=True)
    # bincount would read the largest group from a GPU, which takes two more syncs
    counts = group.new_zeros(len(weights) + 1)
    counts = counts.scatter_add_(0, group, torch.ones_like(group)).cpu()
    rows, labels = x.index_select(0, order), target.index_select(0, order).unsqueeze(1)
    logits = x.new_empty((len(x), max(classes)), dtype=wide)
    if min(classes) < max(classes):
        logits.fill_(-torch.inf)
    sorted_losses = x.new_zeros(len(x), dtype=wide)
    for begin, end, parts in row_blocks(counts, weights, logits):
        for number, start, stop, size in parts:
            group_logits, given = logits[start:stop, :size], (rows[start:stop], weights[number].T)
            if x.dtype == wide and group_logits.is_contiguous():
                torch.addmm(biases[number], *given, out=group_logits)
            else:
                group_logits.copy_(torch.addmm(biases[number], *given))
        some = logits[begin:end]
        torch.log_softmax(some, dim=1, out=some)
        torch.mul(
            some.gather(1, labels[begin:end]).squeeze(1),
            smoothing - 1,
            out=sorted_losses[begin:end],
        )
        if smoothing:
            for _, start, stop, size in parts:
                sorted_losses[start:stop] -= smoothing * logits[start:stop, :size].mean(dim=1)
    losses = torch.empty_like(sorted_losses).index_copy_(0, order, sorted_losses)
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
    """Return the gradients of x (empty if not needed), of every weight and of every bias."""
    labels = target.index_select(0, order).unsqueeze(1)
    upstream = of_losses.index_select(0, order).unsqueeze(1)
    of_rows = torch.empty_like(rows) if need_x else rows.new_empty(0)
    of_weights = [torch.empty_like(weight) for weight in weights]
    of_biases = [weight.new_zeros(len(weight)) for weight in weights]
    last, empty = 0, set(range(len(weights)))
    for begin, last, parts in row_blocks(counts, weights, logits):
        gradient, block_labels = logits[begin:last].exp(), labels[begin:last]
        gradient.scatter_add_(1, block_labels, gradient.new_full(block_labels.shape, smoothing - 1))
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
    of_rows[last:].zero_()  # rows without a group, sorted after all groups
    of_x = torch.empty_like(rows).index_copy_(0, order, of_rows) if need_x else of_rows
    return [of_x, *of_weights, *of_biases]


@sorted_groups.register_fake
def _(x: Tensor, weights: list[Tensor], *others: Any) -> tuple[Tensor, ...]:
    wide, group = accumulator(x.dtype), others[2]
    return (
        x.new_empty(len(x), dtype=wide),
        torch.empty_like(x),
        x.new_empty((len(x), max(map(len, weights))), dtype=wide),
        torch.empty_like(group),
        group.new_empty(len(weights) + 1, device="cpu"),
    )


@sorted_groups_backward.register_fake
def _(rows: Tensor, weights: list[Tensor], *others: Any) -> list[Tensor]:
    of_x = torch.empty_like(rows) if others[-1] else rows.new_empty(0)
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
