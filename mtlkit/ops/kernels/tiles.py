"""Logits computed a tile of classes at a time, so that they are never all stored.

The loss is split in two. A cross-entropy is softplus(r - z_t), where z_t is the target's
logit and r = log sum_{c != t} exp(z_c) the log-sum-exp of its negatives. The softplus of the
difference is exact however confident the net is, margins change z_t alone, and only r is expensive.

Shapes: N rows, D features, C classes. Arithmetic on logits is in float32 (float64 for float64).
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-12
"""Smallest norm by which a row is divided."""


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which sums over `dtype` are accumulated."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def spans(classes: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield the tiles [start, stop) of `width` classes."""
    for start in range(0, classes, width):
        yield start, min(start + width, classes)


class Logits(NamedTuple):
    """z = x W^T + b for x (N, D), W (C, D), b (C,) or None; rows of W as unit vectors if `cosine`.

    `target` (N,) holds a class for every row.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    target: Tensor
    cosine: bool

    def rows(self, place: slice) -> "Logits":
        """Return the same for some of the rows."""
        return self._replace(x=self.x[place], target=self.target[place])

    def weight_tile(self, start: int, stop: int) -> Tensor:
        """Return the rows of W, normalized if `cosine`: by norms in float32, and rounded once."""
        tile = self.weight[start:stop]
        if not self.cosine:
            return tile
        return torch.mul(tile, inverse_norm(tile), out=torch.empty_like(tile))

    def negative_logits(
        self, start: int, stop: int, weight: Tensor, out: Tensor | None = None
    ) -> Tensor:
        """Return the logits (N, stop - start) of a tile, with -inf in place of the target's."""
        wide = accumulator(self.x.dtype)
        z = torch.mm(self.x, weight.T, out=out if self.x.dtype == wide else None).to(wide)
        if self.bias is not None:
            z.add_(self.bias[start:stop])
        place = self.target - start
        inside = ((place >= 0) & (place < stop - start)).unsqueeze(1)
        place = place.clamp(0, stop - start - 1).unsqueeze(1)
        return z.scatter_(1, place, torch.where(inside, -torch.inf, z.gather(1, place)))

    def target_logit(self) -> Tensor:
        """Return the logit (N,) of each row's target."""
        wide = accumulator(self.x.dtype)
        z = (self.x.to(wide) * self._target_rows(wide)).sum(dim=1)
        return z if self.bias is None else z + self.bias[self.target]

    def add_target_gradient(
        self, gradient: Tensor, x: Tensor | None, weight: Tensor | None, bias: Tensor | None
    ) -> None:
        """Add the part of the target's logit, whose gradient is `gradient` (N,)."""
        wide = accumulator(self.x.dtype)
        rows, gradient = self._target_rows(wide), gradient.unsqueeze(1)
        if x is not None:
            x.addcmul_(rows, gradient)
        if weight is not None:
            of_rows = self.x.to(wide)
            if self.cosine:
                norm = inverse_norm(self.weight[self.target])
                of_rows = (of_rows - rows * (of_rows * rows).sum(dim=1, keepdim=True)) * norm
            self._add_by_target(weight, of_rows * gradient)
        if bias is not None:
            bias.index_add_(0, self.target, gradient.squeeze(1))

    def _add_by_target(self, total: Tensor, rows: Tensor) -> None:
        """Add `rows` (N, D) to those of their targets in `total`, whose type may be narrower.

        In that case all rows of a class are summed first: a long sum of small numbers stagnates in
        8 or 11 bits. The host reads no class, which avoids a sync.
        """
        if total.dtype == rows.dtype:
            total.index_add_(0, self.target, rows)
            return
        target, order = self.target.sort()
        first = torch.ones_like(target, dtype=torch.bool)
        first[1:] = target[1:] != target[:-1]
        place = first.cumsum(0) - 1
        sums = torch.zeros_like(rows).index_add_(0, place, rows[order])
        owner = torch.zeros_like(target).scatter_(0, place, target)
        total.index_add_(0, owner, sums.to(total.dtype))

    def project(self, gradient: Tensor, start: int, stop: int) -> None:
        """Turn the gradient of a tile's unit vectors into that of the rows of W, in place."""
        rows = self.weight[start:stop]
        inverse = inverse_norm(rows)
        unit = torch.mul(rows, inverse, out=torch.empty_like(gradient))
        along = (gradient * unit).sum(dim=1, keepdim=True)
        gradient.addcmul_(along, unit, value=-1).mul_(inverse)

    def _target_rows(self, dtype: torch.dtype) -> Tensor:
        rows = self.weight.index_select(0, self.target).to(dtype)
        return rows * inverse_norm(rows) if self.cosine else rows


def inverse_norm(rows: Tensor) -> Tensor:
    """Return 1 / |row| (N, 1)."""
    wide = accumulator(rows.dtype)
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True, dtype=wide)
    inverse: Tensor = norm.clamp_min(EPSILON).reciprocal()
    return inverse


class Scan:
    """Running log-sum-exp of the negatives, and a sum that the backward pass needs.

    `pull` (N, D), if requested, is sum_c exp(z_c) w_c in units of exp(`top`): flash attention's
    rescaled sum (Dao et al. 2022), by which the features' gradient needs no second pass over W.
    """

    def __init__(self, logits: Logits, pull: bool) -> None:
        wide = accumulator(logits.x.dtype)
        rows = len(logits.x)
        self.logits = logits
        self.top = logits.x.new_full((rows, 1), -torch.inf, dtype=wide)
        self.total = logits.x.new_zeros((rows, 1), dtype=wide)
        self.pull = torch.zeros_like(logits.x, dtype=wide) if pull else None

    def step(self, start: int, stop: int, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Add a tile; return exp(z - shift) (N, stop - start), in `out` if given, and shift."""
        weight = self.logits.weight_tile(start, stop)
        z = self.logits.negative_logits(start, stop, weight, out)
        top = torch.maximum(self.top, z.amax(dim=1, keepdim=True))
        shift = finite(top)
        shrink = (self.top - shift).exp_()
        shares = z.sub_(shift).exp_()
        self.total.mul_(shrink).add_(shares.sum(dim=1, keepdim=True))
        if out is not None and out.dtype != shares.dtype:
            shares = out.copy_(shares)
        if self.pull is not None:
            add_product(self.pull.mul_(shrink), shares, weight)
        self.top = top
        return shares, shift.squeeze(1)

    def mean(self) -> Tensor:
        """Return the mean of W (N, D) over the negatives by probability; 0 if there is none."""
        assert self.pull is not None
        return torch.where(self.total == 0, 0.0, self.pull / self.total)

    def negative_lse(self) -> Tensor:
        """Return log sum_{c != t} exp(z_c) (N,), -inf for rows without negatives."""
        return (finite(self.top) + self.total.log()).squeeze(1)


def finite(logits: Tensor) -> Tensor:
    """Return the logits with 0 for -inf, so that exp(z - shift) is 0 and not NaN for z of -inf."""
    return logits.masked_fill(logits == -torch.inf, 0.0)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to `total`, in the type of `total`."""
    if total.dtype == right.dtype:
        total.addmm_(left, right)
    else:
        total.add_(torch.mm(left.to(right.dtype), right))


def share_of(shift: Tensor, negative_lse: Tensor) -> Tensor:
    """Return exp(shift - negative_lse), 0 for rows without negatives."""
    return torch.where(negative_lse == -torch.inf, 0.0, (shift - negative_lse).exp())


class Gradients:
    """Gradients of x and b (in the accumulator's type) and W; None if they are not needed.

    Every row must be added before `tensors`; if rows come in parts, W and b accumulate.
    """

    def __init__(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, needs: list[bool], wide: bool = False
    ) -> None:
        kind = accumulator(x.dtype)
        self.x = torch.empty_like(x, dtype=kind) if needs[0] else None
        self.weight = torch.empty_like(weight, dtype=kind if wide else None) if needs[1] else None
        self.bias = torch.zeros_like(bias, dtype=kind) if needs[2] and bias is not None else None

    def add_tile(
        self, logits: Logits, span: tuple[int, int], shares: Tensor, factor: Tensor, more: bool
    ) -> None:
        """Add to W and b a tile whose logits have the gradient shares (N, T) * factor (N,).

        `more` is true if other rows were added before. A row's factor scales x rather than the
        tile, which is larger.
        """
        start, stop = span
        if self.weight is not None:
            x = logits.x
            scaled = (x * factor.unsqueeze(1)).to(x.dtype)
            of_weight, left = self.weight[start:stop], shares.to(x.dtype).T
            if more:
                add_product(of_weight, left, scaled)
            elif of_weight.dtype == x.dtype:
                torch.mm(left, scaled, out=of_weight)
            else:
                of_weight.copy_(torch.mm(left, scaled))
            if logits.cosine:
                logits.project(of_weight, start, stop)
        if self.bias is not None:
            self.bias[start:stop] += torch.mv(shares.T, factor.to(shares.dtype))

    def add_rows(
        self, place: slice, logits: Logits, pull: Tensor, of_negatives: Tensor, of_target: Tensor
    ) -> None:
        """Add the terms of rows: `pull` (N, D), the mean of their negatives, and the targets."""
        of_x = None
        if self.x is not None:
            of_x = self.x[place]
            torch.mul(pull, of_negatives.unsqueeze(1), out=of_x)
        logits.add_target_gradient(of_target, of_x, self.weight, self.bias)

    def tensors(self, like: Tensor) -> list[Tensor]:
        """Return the gradients in the type of the inputs, empty if not needed."""
        gradients = (self.x, self.weight, self.bias)
        return [
            like.new_empty(0) if gradient is None else gradient.to(like.dtype)
            for gradient in gradients
        ]
