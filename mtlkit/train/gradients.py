"""The tasks' gradients at the shared features, where the trunk ends and the heads begin.

Gradients there cost one pass through the heads alone, and one surrogate scalar then carries any
direction on into the trunk: its gradient at the features is that direction. Shapes: T loss terms, P
elements of all features of the batch.
"""

from collections.abc import Sequence

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from mtlkit.routing.module import Features
from mtlkit.train.ranks import Ranks

BLOCK = 2**14
"""How many columns of a Jacobian are multiplied at once."""


@attrs.frozen(eq=False)
class Cut:
    """Features cut off from the trunk: the heads hang on `leaves`, the trunk ends in `ends`."""

    ends: tuple[Tensor, ...]
    leaves: tuple[Tensor, ...]
    features: Features  # made of the leaves

    def jacobian(self, losses: Tensor) -> Tensor:
        """The gradient of each loss (T,) at the features, (T, P) in float32."""
        return gradients_at(self.leaves, losses)

    def surrogate(self, direction: Tensor) -> Tensor:
        """A scalar whose gradient at the features is `direction` (P,)."""
        products = [
            (end.float() * part).sum()
            for end, part in zip(self.ends, self.parts(direction.detach()), strict=True)
        ]
        return torch.stack(products).sum()

    def parts(self, direction: Tensor) -> list[Tensor]:
        """`direction` (P,) as one tensor for each end, of its shape."""
        parts = torch.split(direction, [end.numel() for end in self.ends])
        return [part.view_as(end) for end, part in zip(self.ends, parts, strict=True)]


def ends_of(features: Features) -> tuple[Tensor, ...]:
    """Every tensor in which the trunk ends: the shared features, the maps, each task's own."""
    maps = [features.maps] if features.maps is not None else []
    return (features.shared, *maps, *features.own.values())


def cut(features: Features) -> Cut:
    """Cut `features`, and the maps and own features beside them, off from the trunk."""
    ends = ends_of(features)
    leaves = tuple(end.detach().requires_grad_() for end in ends)
    first_own = len(leaves) - len(features.own)
    own = dict(zip(features.own, leaves[first_own:], strict=True))
    maps = leaves[1] if features.maps is not None else None
    return Cut(ends, leaves, Features(leaves[0], maps, own))


def gradients_at(points: Sequence[Tensor], losses: Tensor) -> Tensor:
    """The gradient of each loss (T,) at `points`, (T, P) in float32; its graph is kept."""
    rows = []
    for loss in losses.unbind():
        found = torch.autograd.grad(
            loss, points, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([part.float().flatten() for part in found]))
    return torch.stack(rows)


def gramian_of(jacobian: Tensor, other: Tensor | None = None) -> Tensor:
    """The Gramian J J' (T, T) in float64 of a Jacobian (T, P); with an `other`, J O'.

    Columns are multiplied in blocks and the blocks added in float64: over millions of columns a
    product in float32 is wrong in its third digit.
    """
    other = jacobian if other is None else other
    whole = jacobian.shape[1] // BLOCK * BLOCK
    blocks = (len(jacobian), whole // BLOCK, BLOCK)
    left, right = (each[:, :whole].reshape(blocks).transpose(0, 1) for each in (jacobian, other))
    rest = jacobian[:, whole:] @ other[:, whole:].T
    found: Tensor = (left @ right.mT).double().sum(dim=0) + rest.double()
    return found


def gather_columns(own: Tensor, ranks: Ranks) -> Tensor:
    """The Jacobian (T, sum of P) of all ranks, in the order of ranks, from each one's (T, P)."""
    if ranks.world == 1:
        return own
    widths = _widths(own, ranks)
    padded = own.new_zeros(len(own), max(widths))
    padded[:, : own.shape[1]] = own
    found = [torch.empty_like(padded) for _ in widths]
    dist.all_gather(found, padded)
    return torch.cat([part[:, :width] for part, width in zip(found, widths, strict=True)], dim=1)


def own_columns(direction: Tensor, own: Tensor, ranks: Ranks) -> Tensor:
    """This rank's part (P,) of a `direction` over all ranks; `own` (T, P) is its Jacobian."""
    if ranks.world == 1:
        return direction
    return torch.split(direction, _widths(own, ranks))[ranks.rank]


def _widths(own: Tensor, ranks: Ranks) -> list[int]:
    """How many columns the Jacobian of each rank has; ranks may differ by one sample."""
    widths = torch.zeros(ranks.world, dtype=torch.int64, device=own.device)
    widths[ranks.rank] = own.shape[1]
    found: list[int] = ranks.sum(widths).tolist()
    return found
