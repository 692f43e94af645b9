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
    be computed of losses times `scale`.
    """

    ends: Ends
    losses: StepLosses
    rows: Tensor
    behind: Sequence[Tensor] = ()
    heads: Sequence[Tensor | None] = ()
    scale: Tensor | None = None

    def weighted_heads(self, weights: Tensor) -> Tensor:
        """Return a scalar with the value of the weighted sum, and its gradient behind the ends."""
        return (weights * self.losses.mean).sum()

    def unweighted_heads(self, weights: Tensor) -> Tensor:
        """Return a scalar with the value of the weighted sum, and the gradient `heads`."""
        value = (weights * self.losses.mean).sum().detach()
        # a surrogate is 0; the weighted sum makes the total NaN if a weight is not finite
        return surrogate_loss(self.behind, self.heads) + value


class GradientStream:
    """The `TaskGradients` of `count` parts, computed one at a time as they are read.

    Read it once, by a function that releases each item before it takes the next (`map`), so that at
    most one graph is alive. The losses are stored.
    """

    def __init__(self, gradients: Iterable[TaskGradients], count: int = 1) -> None:
        self.per_sample: list[Tensor] = []  # weighted, (T, N) of each part
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
        return torch.stack(self._means).sum(dim=0)


def _with_features(gradients: TaskGradients) -> TaskGradients:
    ends = gradients.ends.tensors
    if len(ends) != 1:
        raise AssemblyError(
            "weighting.at: got several outputs of the backbone, expected one for a weighting that "
            "reads the features; use `at: parameters`, or the router `shared`"
        )
    features = ends[0].detach().flatten().to(gradients.rows).unsqueeze(0)
    return attrs.evolve(gradients, rows=torch.cat([gradients.rows, features]))
