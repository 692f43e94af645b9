"""The tasks' gradients at the shared features, for weightings that ask for them.

The features are where the trunk ends and the heads begin. Gradients there cost one pass through
the heads alone, and one surrogate scalar then carries any direction on into the trunk: its gradient
at the features is that direction. Shapes: T loss terms, P elements of all features of the batch.
"""

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from mtlkit.routing.module import Features
from mtlkit.train.ranks import Ranks


@attrs.frozen(eq=False)
class Cut:
    """Features cut off from the trunk: the heads hang on `leaves`, the trunk ends in `ends`."""

    ends: tuple[Tensor, ...]
    leaves: tuple[Tensor, ...]
    features: Features  # made of the leaves

    def jacobian(self, losses: Tensor) -> Tensor:
        """The gradient of each loss (T,) at the features, (T, P) in float32."""
        rows = []
        for loss in losses:
            found = torch.autograd.grad(
                loss, self.leaves, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([part.float().flatten() for part in found]))
        return torch.stack(rows)

    def surrogate(self, direction: Tensor) -> Tensor:
        """A scalar whose gradient at the features is `direction` (P,)."""
        parts = torch.split(direction.detach(), [end.numel() for end in self.ends])
        products = [
            (end.float() * part.view_as(end)).sum()
            for end, part in zip(self.ends, parts, strict=True)
        ]
        return torch.stack(products).sum()


def cut(features: Features) -> Cut:
    """Cut `features`, and the maps and own features beside them, off from the trunk."""
    beside = [features.maps] if features.maps is not None else []
    ends = (features.shared, *beside, *features.own.values())
    leaves = tuple(end.detach().requires_grad_() for end in ends)
    own = dict(zip(features.own, leaves[1 + len(beside) :], strict=True))
    maps = leaves[1] if beside else None
    return Cut(ends, leaves, Features(leaves[0], maps, own))


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
