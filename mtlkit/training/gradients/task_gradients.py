"""Each task's gradient at the features, for one micro-batch after another."""

from collections.abc import Iterable, Iterator, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError
from mtlkit.training.gradients.features import DetachedFeatures
from mtlkit.weightings.kinds import StepLosses


@attrs.frozen(eq=False)
class TaskGradients:
    """The losses of a micro-batch and their gradients.

    `rows` (T, F) are the gradients at the features, and `heads` that of the summed losses at the
    parameters behind the features, if it was requested.
    """

    detached: DetachedFeatures
    losses: StepLosses
    rows: Tensor
    heads: Sequence[Tensor | None] = ()


class GradientStream:
    """The `TaskGradients` of `count` micro-batches, computed one at a time as they are read.

    Read it once, by a function that releases each item before it takes the next (`map`), so that at
    most one graph is alive. The losses are stored.
    """

    def __init__(self, gradients: Iterable[TaskGradients], count: int = 1) -> None:
        self.per_sample: list[Tensor] = []  # (T, N) of each micro-batch
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
        self.per_sample.append(gradients.losses.per_sample.detach())
        self._means.append(gradients.losses.mean.detach())
        return gradients

    @property
    def losses(self) -> Tensor:
        """Mean losses (T,) of the micro-batches read so far."""
        return torch.stack(self._means).sum(dim=0)


def _with_features(gradients: TaskGradients) -> TaskGradients:
    ends = gradients.detached.ends
    if len(ends) != 1:
        raise AssemblyError(
            "weighting.at: got several outputs of the backbone, expected one for a weighting that "
            "reads the features; use `at: parameters`, or the router `shared`"
        )
    features = ends[0].detach().flatten().to(gradients.rows).unsqueeze(0)
    return attrs.evolve(gradients, rows=torch.cat([gradients.rows, features]))
