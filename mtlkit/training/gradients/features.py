"""The tasks' gradients at the features, where the trunk ends and the heads begin.

Each head is hung on a copy of the features of its own, so that one pass through all heads gives the
gradient of every task apart. What is then to go on into the trunk is carried there by a scalar that
has just this gradient. Shapes: T loss terms, P elements of all features of the batch.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import torch
import torch.distributed as dist
from torch import Tensor

from mtlkit.routers.base import Features
from mtlkit.training.ranks import Ranks

COLUMNS = 2**14
"""How many columns of a Jacobian are multiplied at once; more of them no longer lie in a cache."""


@attrs.frozen(eq=False)
class DetachedFeatures:
    """Features cut off from the trunk, which ends in `ends`.

    Heads hang on `features`, in which every task has a leaf of its own, and branches on those of
    `branch_features`. `place` says at which of the ends a task's leaf was cut off.
    """

    ends: tuple[Tensor, ...]
    features: Features
    branch_features: Features
    place: dict[str, int]

    def jacobian(
        self, losses: Tensor, tasks: Sequence[str], beside: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """The gradient of each loss (T,) at the ends, (T, P) in float32, and more.

        The first losses are those of `tasks`, in this order; any others are the branches'. What
        comes beside is the gradient of their sum at the parameters `beside`, from the same pass.
        """
        own = [self.features.own[task] for task in tasks]
        maps = [self.features.own_maps[task] for task in tasks if self.features.own_maps]
        branches = ends_of(self.branch_features) if len(losses) > len(tasks) else ()
        found = torch.autograd.grad(
            losses.sum(), (*own, *maps, *branches, *beside), retain_graph=True, allow_unused=True
        )
        seen = len(own) + len(maps) + len(branches)
        if len(self.ends) == 1 and not branches:  # the common case, in fewer operations
            return _stacked(found[: len(own)], self.ends[0]), found[seen:]
        sizes = [end.numel() for end in self.ends]
        starts = [sum(sizes[:place]) for place in range(len(sizes))]
        rows = losses.new_zeros(len(losses), sum(sizes), dtype=torch.float32)
        for row, task, part in zip(rows, tasks, found, strict=False):
            _put(row, starts[self.place[task]], part)
        for row, part in zip(rows, found[len(own) : len(own) + len(maps)], strict=False):
            _put(row, starts[1], part)  # the maps end second
        parts = found[seen - len(branches) : seen]
        for number, row in enumerate(rows[len(tasks) :]):
            if len(losses) > len(tasks) + 1:  # several branches on the same leaves
                loss = losses[len(tasks) + number]
                parts = torch.autograd.grad(loss, branches, retain_graph=True, allow_unused=True)
            for start, part in zip(starts, parts, strict=True):
                _put(row, start, part)
        return rows, found[seen:]

    def parts(self, direction: Tensor) -> list[Tensor]:
        """`direction` (P,) as one tensor for each end, of its shape."""
        parts = torch.split(direction, [end.numel() for end in self.ends])
        return [part.view_as(end) for end, part in zip(self.ends, parts, strict=True)]


def ends_of(features: Features) -> tuple[Tensor, ...]:
    """Every tensor in which the trunk ends: the shared features, the maps, each task's own."""
    maps = [features.maps] if features.maps is not None else []
    return (features.shared, *maps, *features.own.values())


def cut(features: Features, tasks: Sequence[str]) -> DetachedFeatures:
    """Cut `features`, and the maps and own features beside them, off from the trunk."""
    ends = ends_of(features)
    first_own = len(ends) - len(features.own)
    place = {
        task: first_own + list(features.own).index(task) if task in features.own else 0
        for task in tasks
    }
    of_tasks = {task: _leaf(ends[place[task]]) for task in tasks}
    leaves = [_leaf(end) for end in ends]
    maps = leaves[1] if features.maps is not None else None
    own = dict(zip(features.own, leaves[first_own:], strict=True))
    own_maps = {task: _leaf(features.maps) for task in tasks if features.maps is not None}
    return DetachedFeatures(
        ends,
        Features(leaves[0], maps, of_tasks, own_maps),
        Features(leaves[0], maps, own),
        place,
    )


def _leaf(end: Tensor) -> Tensor:
    return end.detach().requires_grad_()


def _put(row: Tensor, start: int, part: Tensor | None) -> None:
    if part is not None:
        row[start : start + part.numel()] = part.flatten()


def _stacked(parts: Sequence[Tensor | None], end: Tensor) -> Tensor:
    """Gradients at one end as rows (T, P) in float32."""
    rows = [torch.zeros_like(end) if part is None else part for part in parts]
    return torch.stack(rows).flatten(1).float()


class _Carried(torch.autograd.Function):
    """A zero whose gradient at each of `count` tensors is the one given for it."""

    @staticmethod
    def forward(ctx: Any, count: int, *values: Tensor) -> Tensor:
        ctx.save_for_backward(*values[count:])
        ctx.kinds = [value.dtype for value in values[:count]]
        return values[0].new_zeros((), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        given = zip(ctx.saved_tensors, ctx.kinds, strict=True)
        found = [(outer[0] * part).to(kind) for part, kind in given]
        return (None, *found, *[None] * len(found))


def carried(tensors: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A scalar of value 0 whose gradient at each of `tensors` is the one of `gradients`.

    >>> x = torch.ones(2, requires_grad=True)
    >>> carried([x * 3], [torch.tensor([1.0, 2.0])]).backward()
    >>> x.grad.tolist()
    [3.0, 6.0]
    """
    found: Tensor = _Carried.apply(len(tensors), *tensors, *[g.detach() for g in gradients])
    return found


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

    Products are made in float64, some columns at a time. In float32 they are wrong in the seventh
    digit, over millions of columns in the third: gradients that cancel would not seem to.
    """
    found = jacobian.new_zeros(len(jacobian), len(jacobian), dtype=torch.float64)
    for start in range(0, jacobian.shape[1], COLUMNS):
        part = jacobian[:, start : start + COLUMNS].double()
        beside = part if other is None else other[:, start : start + COLUMNS].double()
        found = torch.addmm(found, part, beside.T)
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
