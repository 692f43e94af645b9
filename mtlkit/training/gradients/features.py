"""The tasks' gradients at the features, where the backbone ends and the heads begin.

Each head reads its own detached copy of the features, so one backward pass through all heads gives
the gradient of every task separately. A surrogate loss then continues into the backbone. Shapes:
T loss terms, F elements of all features of the batch.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.routers.base import Features
from mtlkit.training.gradients.ends import Ends, Gradients, write_row

LARGE = 2**18
"""Number of elements of features from which gradients are not kept next to their rows."""


@attrs.frozen(eq=False)
class DetachedFeatures(Ends):
    """Features detached from the backbone, whose outputs are the `tensors`.

    `features` holds a detached copy for each head and one of every end for the branches. `sources`
    are the indices of the ends from which the copy of a task was detached.
    """

    features: Features
    sources: Mapping[str, Sequence[int]]

    def jacobian(
        self, losses: Tensor, tasks: Sequence[str], parameters: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Return the gradient of each loss (T,) at the ends, (T, F) in float32.

        The first losses are those of `tasks`, in this order; any others are the branches'. The
        second result is the gradient of the summed losses at `parameters`, from the same pass.
        """
        branches = ends_of(self.features) if len(losses) > len(tasks) else ()
        if len(self.tensors) == 1 and not branches and self.tensors[0].numel() >= LARGE:
            return self._written(losses, tasks, parameters)
        heads = [leaf for task in tasks for leaf in ends_of(self.features.copies[task])]
        gradients = torch.autograd.grad(  # given `grad_outputs`, torch imports sympy: 0.3 s
            losses.sum(), (*heads, *branches, *parameters), retain_graph=True, allow_unused=True
        )
        at_heads, rest = gradients[: len(heads)], gradients[len(heads) :]
        at_branches, at_parameters = rest[: len(branches)], rest[len(branches) :]
        if len(self.tensors) == 1 and not branches:  # the common case, in fewer operations
            return stacked(at_heads, self.tensors[0]), at_parameters
        rows = self._rows(losses, tasks, at_heads)
        for number in range(len(tasks), len(losses)):
            if len(losses) > len(tasks) + 1:  # several branches read the same leaves
                at_branches = torch.autograd.grad(
                    losses[number], branches, retain_graph=True, allow_unused=True
                )
            write_row(rows[number], self.tensors, at_branches)
        return rows, at_parameters

    def _written(
        self, losses: Tensor, tasks: Sequence[str], parameters: Sequence[Tensor]
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Return the result of `jacobian` at one end, with one gradient of a task in memory.

        A hook writes the gradient at each copy into its row, and returns a zero of no size instead.
        """
        rows = losses.new_zeros(len(losses), self.tensors[0].numel(), dtype=torch.float32)
        leaves = [self.features.copies[task].shared for task in tasks]
        hooks: list[Any] = []
        for leaf, row in zip(leaves, rows, strict=True):
            hooks.append(leaf.register_hook(partial(_move, row)))  # type: ignore[no-untyped-call]
        gradients = torch.autograd.grad(
            losses.sum(), (*leaves, *parameters), retain_graph=True, allow_unused=True
        )
        for hook in hooks:
            hook.remove()
        return rows, gradients[len(leaves) :]

    def _rows(self, losses: Tensor, tasks: Sequence[str], gradients: Gradients) -> Tensor:
        """Return (T, F), filled for the losses of `tasks` with the gradients at their copies."""
        size = sum(end.numel() for end in self.tensors)
        rows = losses.new_zeros(len(losses), size, dtype=torch.float32)
        following = iter(gradients)
        for row, task in zip(rows[: len(tasks)], tasks, strict=True):
            at_ends = {end: next(following) for end in self.sources[task]}
            write_row(row, self.tensors, [at_ends.get(end) for end in range(len(self.tensors))])
        return rows


def ends_of(features: Features) -> tuple[Tensor, ...]:
    """Return the outputs of a backbone: shared features, maps, and features of single tasks."""
    maps = [features.maps] if features.maps is not None else []
    return (features.shared, *maps, *features.per_task.values())


def detach_features(features: Features, tasks: Sequence[str]) -> DetachedFeatures:
    """Return `features` detached from the backbone, with a copy for the head of each of `tasks`."""
    ends, context = ends_of(features), features.context
    first_own = len(ends) - len(features.per_task)
    maps = [1] if features.maps is not None else []
    end_of = {task: first_own + number for number, task in enumerate(features.per_task)}
    sources = {task: [end_of.get(task, 0), *maps] for task in tasks}
    copies = {
        task: Features(
            _leaf(ends[end_of.get(task, 0)]), _leaf(ends[1]) if maps else None, context=context
        )
        for task in tasks
    }
    leaves = [_leaf(end) for end in ends]
    detached = Features(
        leaves[0],
        leaves[1] if maps else None,
        dict(zip(features.per_task, leaves[first_own:], strict=True)),
        copies,
        context,
    )
    return DetachedFeatures(ends, detached, sources)


def _leaf(end: Tensor) -> Tensor:
    return end.detach().requires_grad_()


def _move(row: Tensor, gradient: Tensor) -> Tensor:
    """Write `gradient` into `row`, and return zeros of its shape that take no memory."""
    row.copy_(gradient.flatten())
    return gradient.new_zeros(()).expand_as(gradient)


def stacked(gradients: Sequence[Tensor | None], end: Tensor) -> Tensor:
    """Return gradients at one end as rows (T, F) in float32."""
    rows = [torch.zeros_like(end) if gradient is None else gradient for gradient in gradients]
    return torch.stack(rows).flatten(1).float()
