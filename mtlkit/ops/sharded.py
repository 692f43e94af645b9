"""The margin cross-entropy of classes whose rows of W are divided among processes.

Paper: Xiang An, Jiankang Deng, Jia Guo, Ziyong Feng, XuHan Zhu, Jing Yang and Tongliang Liu,
"Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by Partial
FC", CVPR 2022.

Every process computes the logits of all samples for its own classes. It sends two numbers of each
sample to the sample's process, which combines them to the log-sum-exp over all classes and the
target's logit. Shapes: N samples of this process, M of all processes, D features, R rows of this
process.
"""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from mtlkit.ops.cosine import cosine_negatives
from mtlkit.ops.dispatch.implementation import Implementation
from mtlkit.ops.kernels.arguments import without_autocast
from mtlkit.ops.kernels.tiles import accumulator
from mtlkit.ops.margin import Margin, margin_of
from mtlkit.ops.row_shard import RowShard


class GatheredBatch(NamedTuple):
    """Features (M, D) and targets (M,) of all processes; `sizes` are their numbers of samples."""

    x: Tensor
    target: Tensor
    sizes: tuple[int, ...]
    shard: RowShard

    @property
    def own(self) -> slice:
        """The samples of this process."""
        start = sum(self.sizes[: self.shard.rank])
        return slice(start, start + self.sizes[self.shard.rank])


def gather_batch(x: Tensor, target: Tensor, shard: RowShard) -> GatheredBatch:
    """Return the batch of all processes, with features in the type of sums.

    The gradient of a process's features is the sum over the shards.
    """
    if shard.world == 1:
        return GatheredBatch(x.to(accumulator(x.dtype)), target, (len(x),), shard)
    features, targets, sizes = _Gather.apply(x, target, shard)
    return GatheredBatch(features, targets, sizes, shard)


def sharded_margin_cross_entropy(
    batch: GatheredBatch,
    rows: Tensor,
    place: Tensor,
    *,
    scale: float = 64.0,
    multiplier: float = 1.0,
    angle: Margin = 0.5,
    additive: Margin = 0.0,
    easy_margin: bool = False,
    ignore_index: int = -100,
    implementation: str | Implementation | None = None,
) -> Tensor:
    """`margin_cross_entropy` (N,) of this process's samples against the `rows` of all processes.

    `rows` (S, D) are rows of W that this process holds, and `place` (M,) the row of each sample's
    target among them, `ignore_index` if it is elsewhere or missing. A sample without a target has
    the loss 0. Margins are one number, or one for each of the N samples.

    Every process must call this, and differentiate it, in the same order. The loss of a sample is
    differentiated by its own process. Gradients of `rows` are divided by the number of processes,
    because a step multiplies its losses by it and only replicated parameters are averaged.
    """
    target = batch.target[batch.own]
    valid = target != ignore_index
    negatives = cosine_negatives(
        batch.x, rows, place, scale=scale, ignore_index=ignore_index, implementation=implementation
    )
    with without_autocast(batch.x):
        logit, lse = negatives
        if batch.shard.world > 1:
            logit, lse = _Combine.apply(logit, lse, place != ignore_index, batch)
        cosine = (logit / scale).clamp(-1, 1)
        moved = scale * margin_of(cosine, multiplier, angle, additive, easy_margin)
        return torch.where(valid, -F.logsigmoid(moved - lse), 0.0)


class _Gather(Function):
    """Features, targets and numbers of samples of all processes.

    The gradient is summed over the processes and multiplied by their number. `_Combine` has divided
    it by that number, so that the rows' gradient is divided at no cost.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, target: Tensor, shard: RowShard
    ) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        features, targets, sizes = _gathered_samples(x.detach(), target, shard)
        ctx.sizes, ctx.shard, ctx.dtype = sizes, shard, x.dtype
        ctx.mark_non_differentiable(targets)
        return features.to(accumulator(x.dtype)), targets, sizes

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        parts = _exchanged(outer[0], ctx.sizes, ctx.shard)
        return (parts.sum(dim=0) * ctx.shard.world).to(ctx.dtype), None, None


class _Combine(Function):
    """The target's logit and the log-sum-exp over all processes, (N,) for this one's samples."""

    @staticmethod
    def forward(
        ctx: Any, logit: Tensor, lse: Tensor, owned: Tensor, batch: GatheredBatch
    ) -> tuple[Tensor, Tensor]:
        held = torch.stack([lse, torch.where(owned, logit, 0.0)], dim=1)
        parts = _exchanged(held, batch.sizes, batch.shard)
        total = parts[:, :, 0].logsumexp(dim=0)
        ctx.save_for_backward(lse, owned, total)
        ctx.batch = batch._replace(x=lse.new_empty(0))  # keeps no features
        return parts[:, :, 1].sum(dim=0), total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None, None]:
        lse, owned, total = ctx.saved_tensors
        batch: GatheredBatch = ctx.batch
        # a process has the log-sum-exp and computes the outer gradient of its samples only
        part = torch.stack([*(one / batch.shard.world for one in outer), total], dim=1)
        of_logit, of_lse, totals = _gathered(part, batch.sizes, batch.shard).unbind(dim=1)
        return torch.where(owned, of_logit, 0.0), of_lse * (lse - totals).exp(), None, None


def _gathered_samples(
    x: Tensor, target: Tensor, shard: RowShard
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """Return features (M, D), targets (M,) and numbers of samples of all processes.

    One all-gather of bytes sends all three. It is repeated if a process has more samples than any
    had before, as in the first call.
    """
    capacity = shard.capacity[0]
    count = torch.tensor([len(x)], device=x.device)
    parts = (count, *(_padded(part[:capacity], capacity) for part in (target, x)))
    packed = torch.cat([part.view(torch.uint8).flatten() for part in parts])
    gathered = _all_gathered(packed, shard)
    ends = 8, 8 + 8 * capacity
    sizes = tuple(gathered[:, : ends[0]].view(torch.int64).flatten().tolist())
    if max(sizes) > capacity:
        shard.capacity[0] = -(-max(sizes) // 8) * 8  # rows of bytes stay aligned for any type
        return _gathered_samples(x, target, shard)
    targets = gathered[:, ends[0] : ends[1]].view(torch.int64)
    features = gathered[:, ends[1] :].view(x.dtype).reshape(shard.world, capacity, x.shape[1])
    return _without_padding(features, sizes), _without_padding(targets, sizes), sizes


def _exchanged(values: Tensor, sizes: tuple[int, ...], shard: RowShard) -> Tensor:
    """Return what each process has in `values` (M, ...) of this process's samples, (W, N, ...).

    With a sum it is a reduce-scatter, for which gloo needs 20 times the CPU time.
    """
    count = sizes[shard.rank]
    parts = values.new_empty(shard.world * count, *values.shape[1:])
    counts = [count] * shard.world
    dist.all_to_all_single(parts, values.contiguous(), counts, [*sizes], group=shard.group)
    return parts.reshape(shard.world, count, *values.shape[1:])


def _gathered(values: Tensor, sizes: tuple[int, ...], shard: RowShard) -> Tensor:
    """Return the `values` (N, ...) of all processes (M, ...), which may differ in N."""
    return _without_padding(_all_gathered(_padded(values.detach(), max(sizes)), shard), sizes)


def _all_gathered(values: Tensor, shard: RowShard) -> Tensor:
    """Return the `values` (...) of all processes, which have one shape, as (W, ...)."""
    parts = values.new_empty(shard.world, *values.shape)
    dist.all_gather([*parts.unbind()], values, group=shard.group)
    return parts


def _without_padding(parts: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the first rows of each of the `parts` (W, N, ...) as (M, ...)."""
    if set(sizes) == {parts.shape[1]}:
        return parts.flatten(0, 1)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def _padded(values: Tensor, size: int) -> Tensor:
    """Return `values` (N, ...) with rows of zeros up to `size`."""
    if len(values) == size:
        return values.contiguous()
    return torch.cat([values, values.new_zeros(size - len(values), *values.shape[1:])])
