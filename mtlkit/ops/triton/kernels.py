"""Triton kernels; they run on a GPU, and in Triton's interpreter if it was on at the import.

All arithmetic is in float32. Logits of -inf are excluded classes: a maximum of -inf is
replaced before it is subtracted. Offsets of rows are 64-bit: N * C may exceed 2^31.
"""

import triton
import triton.language as tl

INTERPRETED = triton.knobs.runtime.interpret
"""True if these kernels are interpreted, which is the only way to run them on a CPU."""


@triton.jit
def _merge(top, total, values):
    """Add values along the last axis to a running maximum and sum of exponentials."""
    axis: tl.constexpr = len(values.shape) - 1
    new = tl.maximum(top, tl.max(values, axis))
    reference = tl.where(new == -float("inf"), 0.0, new)
    shifted = values - (reference if axis == 0 else reference[:, None])
    return new, total * tl.exp(top - reference) + tl.sum(tl.exp(shifted), axis)


@triton.jit
def negatives_of_logits(z, target, target_logit, negative_lse, classes, BLOCK: tl.constexpr):
    """Compute from a row the logit of its target and the log-sum-exp of all others."""
    row = tl.program_id(0).to(tl.int64)
    label = tl.load(target + row)
    top, total, mine = -float("inf"), 0.0, 0.0
    for start in range(0, classes, BLOCK):
        column = start + tl.arange(0, BLOCK)
        inside = column < classes
        value = tl.load(z + row * classes + column, mask=inside, other=-float("inf"))
        value = value.to(tl.float32)
        mine += tl.sum(tl.where(column == label, value, 0.0), 0)
        top, total = _merge(top, total, tl.where(column == label, -float("inf"), value))
    reference = tl.where(top == -float("inf"), 0.0, top)
    lse = reference + tl.log(tl.where(total == 0, 1.0, total))
    tl.store(target_logit + row, mine)
    tl.store(negative_lse + row, tl.where(total == 0, -float("inf"), lse))


@triton.jit
def gradient_of_logits(
    z, target, negative_lse, of_target, of_negatives, classes, BLOCK: tl.constexpr
):
    """Replace a block of a row of logits by its gradient."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < classes
    place = z + row * classes + column
    value = tl.load(place, mask=inside, other=-float("inf")).to(tl.float32)
    lse = tl.load(negative_lse + row)
    factor = tl.load(of_negatives + row)
    gradient = tl.exp(value - tl.where(lse == -float("inf"), 0.0, lse)) * factor
    gradient = tl.where(column == tl.load(target + row), tl.load(of_target + row), gradient)
    tl.store(place, gradient.to(z.dtype.element_ty), mask=inside)


@triton.jit
def _product(
    x, weight, row, column, rows, classes, features,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Compute a block of x W^T; `UPCAST` is for the interpreter, whose bfloat16 is wrong."""
    total = tl.zeros((BLOCK_N, BLOCK_C), tl.float32)
    for start in range(0, features, BLOCK_D):
        feature = start + tl.arange(0, BLOCK_D)
        left = tl.load(
            x + row[:, None].to(tl.int64) * features + feature[None, :],
            mask=(row[:, None] < rows) & (feature[None, :] < features), other=0.0,
        )  # fmt: skip
        right = tl.load(
            weight + column[None, :].to(tl.int64) * features + feature[:, None],
            mask=(column[None, :] < classes) & (feature[:, None] < features), other=0.0,
        )  # fmt: skip
        if UPCAST:
            left, right = left.to(tl.float32), right.to(tl.float32)
        total = tl.dot(left, right, total, input_precision="ieee")
    return total


@triton.jit
def _negatives_block(
    x, weight, bias, scale, target, row, column, first, rows, classes, features,
    BIASED: tl.constexpr, SCALED: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Compute a block of logits, -inf for the target's and outside of the matrix."""
    value = _product(
        x, weight, row, column, rows, classes, features, BLOCK_N, BLOCK_C, BLOCK_D, UPCAST
    )
    inside = column < classes
    if SCALED:
        value *= tl.load(scale + column, mask=inside, other=1.0)[None, :]
    if BIASED:
        value += tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)[None, :]
    label = tl.load(target + row, mask=row < rows, other=-1)
    away = inside[None, :] & (first + column[None, :] != label[:, None])
    return tl.where(away, value, -float("inf"))


@triton.jit
def negatives_of_rows(
    x, weight, bias, scale, target, tops, totals, rows, classes, features, split,
    BIASED: tl.constexpr, SCALED: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Maximum and sum of exponentials of the negatives among `split` classes, for some rows."""
    row = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    part = tl.program_id(1)
    top = tl.full((BLOCK_N,), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK_N,), tl.float32)
    for start in range(part * split, min((part + 1) * split, classes), BLOCK_C):
        column = start + tl.arange(0, BLOCK_C)
        block = _negatives_block(
            x, weight, bias, scale, target, row, column, 0, rows, classes, features,
            BIASED, SCALED, BLOCK_N, BLOCK_C, BLOCK_D, UPCAST,
        )  # fmt: skip
        top, total = _merge(top, total, block)
    place = part.to(tl.int64) * rows + row
    tl.store(tops + place, top, mask=row < rows)
    tl.store(totals + place, total, mask=row < rows)


@triton.jit
def shares_of_tile(
    x, weight, bias, scale, target, negative_lse, out, first, rows, classes, features,
    BIASED: tl.constexpr, SCALED: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """exp(z - negative_lse) of a tile of classes that begins at `first`, 0 for the target's own."""
    row = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    column = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    block = _negatives_block(
        x, weight, bias, scale, target, row, column, first, rows, classes, features,
        BIASED, SCALED, BLOCK_N, BLOCK_C, BLOCK_D, UPCAST,
    )  # fmt: skip
    lse = tl.load(negative_lse + row, mask=row < rows, other=0.0)
    lse = tl.where(lse == -float("inf"), 0.0, lse)
    tl.store(
        out + row[:, None].to(tl.int64) * classes + column[None, :],
        tl.exp(block - lse[:, None]).to(out.dtype.element_ty),
        mask=(row[:, None] < rows) & (column[None, :] < classes),
    )


@triton.jit
def small_heads(
    x, weight, bias, starts, target, losses, kept, rows, classes, features, smoothing,
    LABELLED: tl.constexpr, HEADS: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """All heads and the gate for some rows: losses (T, N) and log-probabilities (C, N)."""
    row = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    column = tl.arange(0, BLOCK_C)
    value = _product(
        x, weight, row, column, rows, classes, features, BLOCK_N, BLOCK_C, BLOCK_D, UPCAST
    )
    value += tl.load(bias + column, mask=column < classes, other=0.0).to(tl.float32)[None, :]
    for head in range(HEADS):
        start, stop = tl.load(starts + head), tl.load(starts + head + 1)
        in_head = ((column >= start) & (column < stop))[None, :]
        top = tl.max(tl.where(in_head, value, -float("inf")), 1)
        top = tl.where(top == -float("inf"), 0.0, top)
        total = tl.sum(tl.where(in_head, tl.exp(value - top[:, None]), 0.0), 1)
        value = tl.where(in_head, value - (top + tl.log(total))[:, None], value)
        if head < LABELLED:
            label = tl.load(target + head * rows + row, mask=row < rows, other=0)
            hit = column[None, :] == start + label[:, None]
            loss = (smoothing - 1.0) * tl.sum(tl.where(hit, value, 0.0), 1)
            if smoothing > 0:
                loss -= smoothing * tl.sum(tl.where(in_head, value, 0.0), 1) / (stop - start)
            tl.store(losses + head * rows + row, loss, mask=row < rows)
    tl.store(
        kept + column[None, :].to(tl.int64) * rows + row[:, None],
        value,
        mask=(row[:, None] < rows) & (column[None, :] < classes),
    )


@triton.jit
def gradient_of_small_heads(
    kept, starts, target, of_losses, of_shares, out, rows, classes, smoothing,
    LABELLED: tl.constexpr, HEADS: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """The gradient (C, N) of the logits of all heads and the gate, for some rows."""
    row = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    column = tl.arange(0, BLOCK_C)
    inside = (row[:, None] < rows) & (column[None, :] < classes)
    place = column[None, :].to(tl.int64) * rows + row[:, None]
    share = tl.exp(tl.load(kept + place, mask=inside, other=-float("inf")))
    gradient = tl.zeros((BLOCK_N, BLOCK_C), tl.float32)
    for head in range(HEADS):
        start, stop = tl.load(starts + head), tl.load(starts + head + 1)
        in_head = ((column >= start) & (column < stop))[None, :]
        if head < LABELLED:
            label = tl.load(target + head * rows + row, mask=row < rows, other=0)
            hit = column[None, :] == start + label[:, None]
            factor = tl.load(of_losses + head * rows + row, mask=row < rows, other=0.0)
            value = share - smoothing / (stop - start) - tl.where(hit, 1.0 - smoothing, 0.0)
            gradient = tl.where(in_head, value * factor[:, None], gradient)
        else:
            upstream = tl.load(of_shares + place - start * rows, mask=inside & in_head, other=0.0)
            mean = tl.sum(tl.where(in_head, share * upstream, 0.0), 1)
            gradient = tl.where(in_head, share * (upstream - mean[:, None]), gradient)
    tl.store(out + place, gradient.to(out.dtype.element_ty), mask=inside)
