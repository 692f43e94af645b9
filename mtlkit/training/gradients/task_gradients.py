"""Each task's gradient at the features, for one part of an update after another."""

from collections.abc import Iterable, Iterator, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError
from mtlkit.training.gradients.ends import Ends
from mtlkit.training.gradients.surrogate import Pairs
from mtlkit.weightings.kinds import StepLosses


@attrs.frozen(eq=False)
class TaskGradients:
    """The losses of a part of an update and their gradients.

    `rows` (T, F) are the gradients at the `ends` of the shared network, and `heads` that of the
    summed losses at the parameters `behind` the ends, if it was requested. Further gradients are to
    be computed of losses times `scale`. `tasks` are the indices of the tasks that own the
    parameters `behind`, if each has one.
    """

    ends: Ends
    losses: StepLosses
    rows: Tensor
    behind: Sequence[Tensor] = ()
    heads: Sequence[Tensor | None] = ()
    scale: Tensor | None = None
    tasks: Sequence[int] = attrs.field(default=(), kw_only=True)

    def weighted_heads(self, weights: Tensor) -> tuple[Tensor, Pairs]:
        """Return the weighted sum and pairs, whose gradients behind the ends are those of the sum.

        If a parameter behind the ends has several tasks, the sum has a graph and there are no
        pairs.
        """
        value = weights @ self.losses.mean
        if not self.tasks:
            return value, ()
        scales = weights.unbind()
        heads = zip(self.tasks, self.heads, strict=True)
        gradients = [None if head is None else scales[task] * head for task, head in heads]
        return value.detach(), zip(self.behind, gradients, strict=True)

    def unweighted_heads(self, weights: Tensor) -> tuple[Tensor, Pairs]:
        """Return the value of the weighted sum, and pairs with the gradient `heads`."""
        # the sum is NaN if a weight is not finite
        return weights @ self.losses.mean.detach(), zip(self.behind, self.heads, strict=True)


class GradientStream:
    """The `TaskGradients` of `count` parts, computed one at a time as they are read.

    Read it once, by a function that releases each item before it takes the next (`map`), so that at
    most one graph is alive. The losses are stored.
    """

    def __init__(self, gradients: Iterable[TaskGradients], count: int = 1) -> None:
        self.per_sample: list[Tensor] = []  # weighted losses (T, N) of each part read so far
        self._means: list[Tensor] = []
        self._gradients, self._count = gradients, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[TaskGradients]:
        return map(self._recorded, self._gradients)

    def with_features(self) -> "GradientStream":
        """Return the stream with a last row that holds the features (1, F)."""
        self._gradients = map(_with_features, self._gradients)
        return self

    def _recorded(self, gradients: TaskGradients) -> TaskGradients:
        self.per_sample.append(gradients.losses.weighted.detach())
        self._means.append(gradients.losses.mean.detach())
        return gradients

    @property
    def losses(self) -> Tensor:
        """Mean losses (T,) of the parts read so far."""
        return sum_of_parts(self._means)


def sum_of(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Return the sum of two gradients, not in place: autograd may return a tensor twice."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def sum_of_parts(parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of tensors of one shape, without an operator if there is only one."""
    return parts[0] if len(parts) == 1 else torch.stack([*parts]).sum(dim=0)


def _with_features(gradients: TaskGradients) -> TaskGradients:
    ends = gradients.ends.tensors
    if len(ends) != 1:
        raise AssemblyError(
            "weighting.at: got several outputs of the backbone, expected one for a weighting that "
            "reads the features; use `at: parameters`, or the router `shared`"
        )
    features = ends[0].detach().flatten().to(gradients.rows).unsqueeze(0)
    return attrs.evolve(gradients, rows=torch.cat([gradients.rows, features]))
