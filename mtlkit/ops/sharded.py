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
    count = torch.tensor([len(x)], device=x.device)
    sizes = tuple(_all_gathered(count, shard).flatten().tolist())
    features: Tensor = _Gather.apply(x, sizes, shard)
    return GatheredBatch(features, _gathered(target, sizes, shard), sizes, shard)


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
    """Features of all processes; the gradient is summed over them and multiplied by their number.

    `_Combine` has divided it by that number, so that the rows' gradient is divided at no cost.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: tuple[int, ...], shard: RowShard) -> Tensor:
        ctx.sizes, ctx.shard, ctx.dtype = sizes, shard, x.dtype
        return _gathered(x, sizes, shard).to(accumulator(x.dtype))

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
    parts = _all_gathered(_padded(values.detach(), max(sizes)), shard)
    if len(set(sizes)) == 1:
        return parts.flatten(0, 1)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def _all_gathered(values: Tensor, shard: RowShard) -> Tensor:
    """Return the `values` (...) of all processes, which have one shape, as (W, ...)."""
    parts = values.new_empty(shard.world, *values.shape)
    dist.all_gather([*parts.unbind()], values, group=shard.group)
    return parts


def _padded(values: Tensor, size: int) -> Tensor:
    """Return `values` (N, ...) with rows of zeros up to `size`."""
    if len(values) == size:
        return values.contiguous()
    return torch.cat([values, values.new_zeros(size - len(values), *values.shape[1:])])
