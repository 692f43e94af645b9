"""Several heads and a gate by few matrix products, with the log-probabilities kept.

Heads of few classes are concatenated into one matrix. Logits are laid out class by class, (C, N):
then the classes of a head are one block of memory, and all of it is vectorized over the rows.
A head of many classes keeps its own product: concatenating it would copy its matrix.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.kernels.custom_op import custom_op
from mtlkit.ops.kernels.tiles import accumulator

FEW = 256
"""Most classes of a head that is concatenated with others."""


class ClassRange(NamedTuple):
    """Rows [start, stop) of the matrix of a group, which hold the logits of a head."""

    head: int
    start: int
    stop: int


def groups(classes: list[int]) -> list[list[ClassRange]]:
    """Group the heads by the matrix product that they share, from their numbers of classes."""
    few = [head for head, count in enumerate(classes) if count <= FEW]
    many = [[head] for head, count in enumerate(classes) if count > FEW]
    grouped = []
    for heads in [few, *many] if few else many:
        stops = accumulate(classes[head] for head in heads)
        pairs = zip(heads, stops, strict=True)
        grouped.append([ClassRange(head, stop - classes[head], stop) for head, stop in pairs])
    return grouped


@custom_op("concatenated_heads")
def concatenated_heads(
    x: Tensor, weights: list[Tensor], biases: list[Tensor], targets: Tensor, smoothing: float
) -> list[Tensor]:
    """Return losses (T, N) of T heads, shares (K, N) of a gate, and log-probabilities by group.

    `weights` (C_t, D) and `biases` (C_t,) may be one more than there are `targets` (T, N): then the
    last is the gate, whose shares are its softmax. Every target is a class.
    """
    wide = accumulator(x.dtype)
    losses = x.new_empty(targets.shape, dtype=wide)
    means = torch.empty_like(losses)
    shares = x.new_empty(0, dtype=wide)
    kept = []
    for ranges in groups([len(weight) for weight in weights]):
        weight = _cat([weights[part.head] for part in ranges])
        bias = _cat([biases[part.head] for part in ranges])
        logits = torch.addmm(bias.unsqueeze(1), weight, x.T).to(wide)
        for head, start, stop in ranges:
            head_logits, row = logits[start:stop], slice(head, head + 1)
            torch.log_softmax(head_logits, dim=0, out=head_logits)
            if head == len(targets):
                shares = head_logits.exp()
                continue
            torch.gather(head_logits, 0, targets[row], out=losses[row])
            if smoothing:
                torch.mean(head_logits, dim=0, keepdim=True, out=means[row])
        kept.append(logits)
    losses.mul_(smoothing - 1)
    if smoothing:
        losses.sub_(means, alpha=smoothing)
    return [losses, shares, *kept]


def logit_gradients(
    classes: list[int],
    kept: list[Tensor],
    targets: Tensor,
    smoothing: float,
    of_losses: Tensor,
    of_shares: Tensor,
) -> Iterator[tuple[list[ClassRange], Tensor]]:
    """Yield the gradient of the logits (C, N) of every group, from those of losses and shares."""
    away = kept[0].new_full((1, targets.shape[1]), smoothing - 1)
    for ranges, logits in zip(groups(classes), kept, strict=True):
        gradient = logits.exp()
        for head, start, stop in ranges:
            head_gradient = gradient[start:stop]
            if head == len(targets):
                head_gradient.mul_(of_shares - (head_gradient * of_shares).sum(dim=0))
                continue
            if smoothing:
                head_gradient.sub_(smoothing / (stop - start))
            head_gradient.scatter_add_(0, targets[head : head + 1], away)
            head_gradient.mul_(of_losses[head])
        yield ranges, gradient


@custom_op("concatenated_heads_backward")
def concatenated_heads_backward(
    x: Tensor,
    weights: list[Tensor],
    targets: Tensor,
    smoothing: float,
    kept: list[Tensor],
    of_losses: Tensor,
    of_shares: Tensor,
    need_x: bool,
) -> list[Tensor]:
    """Return the gradients of x (empty if not needed), and of each group's weights and biases."""
    classes = [len(weight) for weight in weights]
    parts, of_weights, of_biases = [], [], []
    for ranges, gradient in logit_gradients(
        classes, kept, targets, smoothing, of_losses, of_shares
    ):
        low = gradient.to(x.dtype)
        if need_x:
            parts.append(torch.mm(low.T, _cat([weights[part.head] for part in ranges])))
        of_weights.append(torch.mm(low, x))
        of_biases.append(gradient.sum(dim=1).to(x.dtype))
    of_x = _total(parts) if need_x else x.new_empty(0)
    return [of_x, *of_weights, *of_biases]


def _total(parts: list[Tensor]) -> Tensor:
    """Return the sum in the type of the parts, accumulated in the wider type."""
    if len(parts) == 1:
        return parts[0]
    total = parts[0].to(accumulator(parts[0].dtype))
    for part in parts[1:]:
        total += part
    return total.to(parts[0].dtype)


@custom_op("heads_feature_gradients")
def heads_feature_gradients(
    weights: list[Tensor], targets: Tensor, smoothing: float, kept: list[Tensor], of_losses: Tensor
) -> Tensor:
    """Return the gradient (T, N, D) of each head's sum_n of_losses_tn l_tn by the features."""
    heads, rows = targets.shape
    classes = [len(weight) for weight in weights]
    of_features = weights[0].new_empty(heads, rows, weights[0].shape[1])
    of_shares = kept[0].new_zeros(())
    for ranges, gradient in logit_gradients(
        classes, kept, targets, smoothing, of_losses, of_shares
    ):
        low = gradient.to(of_features.dtype)
        for head, start, stop in ranges:
            if head < heads:
                torch.mm(low[start:stop].T, weights[head], out=of_features[head])
    return of_features


def _cat(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@concatenated_heads.register_fake
def fake_heads(
    x: Tensor, weights: list[Tensor], biases: list[Tensor], targets: Tensor, smoothing: float
) -> list[Tensor]:
    """Return fake results of concatenated heads."""
    wide, classes = accumulator(x.dtype), [len(weight) for weight in weights]
    gate = (classes[-1], len(x)) if len(classes) > len(targets) else (0,)
    return [
        x.new_empty(targets.shape, dtype=wide),
        x.new_empty(gate, dtype=wide),
        *(x.new_empty((ranges[-1].stop, len(x)), dtype=wide) for ranges in groups(classes)),
    ]


@concatenated_heads_backward.register_fake
def fake_gradients(x: Tensor, weights: list[Tensor], *others: Any) -> list[Tensor]:
    """Return fake gradients of concatenated heads, by group."""
    of_x = torch.empty_like(x) if others[-1] else x.new_empty(0)
    sizes = [ranges[-1].stop for ranges in groups([len(weight) for weight in weights])]
    return [of_x, *(x.new_empty(c, x.shape[1]) for c in sizes), *map(x.new_empty, sizes)]


@heads_feature_gradients.register_fake
def _(weights: list[Tensor], targets: Tensor, *_: Any) -> Tensor:
    return weights[0].new_empty(*targets.shape, weights[0].shape[1])


def save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    """Save the tensors that the backward pass of concatenated heads needs."""
    x, weights, _, targets, ctx.smoothing = inputs
    ctx.heads = len(weights)
    ctx.need_x = x.requires_grad
    ctx.shares = output[1].shape
    ctx.save_for_backward(x, targets, *weights, *output[2:])
    ctx.mark_non_differentiable(*output[2:])
    ctx.set_materialize_grads(False)


def make_backward(gradients_of: Callable[..., list[Tensor]]) -> Callable[..., tuple[Any, ...]]:
    """Return the backward pass of concatenated heads, from an operator of gradients by group.

    A head's gradients are views of its group's, which an operator may not return.
    """

    def backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
        x, targets, *rest = ctx.saved_tensors
        weights, kept = rest[: ctx.heads], rest[ctx.heads :]
        of_losses, of_shares = gradients[:2]
        if of_losses is None:
            of_losses = kept[0].new_zeros(targets.shape)
        if of_shares is None:
            of_shares = kept[0].new_zeros(ctx.shares)
        of_x, *by_group = gradients_of(
            x, weights, targets, ctx.smoothing, kept, of_losses, of_shares, ctx.need_x
        )
        all_ranges = groups([len(weight) for weight in weights])
        of_weights: list[Tensor | None] = [None] * ctx.heads
        of_biases: list[Tensor | None] = [None] * ctx.heads
        parts = zip(all_ranges, by_group, by_group[len(all_ranges) :], strict=False)
        for ranges, weight, bias in parts:
            for head, start, stop in ranges:
                of_weights[head], of_biases[head] = weight[start:stop], bias[start:stop]
        return of_x if ctx.need_x else None, of_weights, of_biases, None, None

    return backward


concatenated_heads.register_autograd(save, make_backward(concatenated_heads_backward))
