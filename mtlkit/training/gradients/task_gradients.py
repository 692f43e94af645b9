"""Each task's gradient at the features, for one part of an update after another."""

from collections.abc import Iterable, Iterator, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError
from mtlkit.training.gradients.ends import Ends
from mtlkit.training.gradients.surrogate import surrogate_loss
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
    mean: Tensor = attrs.field(  # of the losses (T,), computed once
        default=attrs.Factory(lambda self: self.losses.mean, takes_self=True), kw_only=True
    )
    tasks: Sequence[int] = attrs.field(default=(), kw_only=True)

    def weighted_heads(self, weights: Tensor) -> Tensor:
        """Return a scalar with the value of the weighted sum, and its gradient behind the ends."""
        value = (weights * self.mean).sum()
        if not self.tasks:
            return value
        scales = weights.unbind()
        pairs = zip(self.tasks, self.heads, strict=True)
        gradients = [None if head is None else scales[task] * head for task, head in pairs]
        return surrogate_loss(self.behind, gradients) + value.detach()

    def unweighted_heads(self, weights: Tensor) -> Tensor:
        """Return a scalar with the value of the weighted sum, and the gradient `heads`."""
        value = (weights * self.mean.detach()).sum()
        # a surrogate is 0; the weighted sum makes the total NaN if a weight is not finite
        return surrogate_loss(self.behind, self.heads) + value


class GradientStream:
    """The `TaskGradients` of `count` parts, computed one at a time as they are read.

    Read it once, by a function that releases each item before it takes the next (`map`), so that at
    most one graph is alive. The losses are stored.
    """

    def __init__(self, gradients: Iterable[TaskGradients], count: int = 1) -> None:
        self._read: list[tuple[Tensor, Tensor]] = []  # losses and weights (T, N) of each part
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
        self._read.append((gradients.losses.per_sample.detach(), gradients.losses.weights))
        self._means.append(gradients.mean.detach())
        return gradients

    @property
    def per_sample(self) -> list[Tensor]:
        """Weighted losses (T, N) of each part read so far."""
        return [losses * weights for losses, weights in self._read]

    @property
    def losses(self) -> Tensor:
        """Mean losses (T,) of the parts read so far."""
        return sum_of_parts(self._means)


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
