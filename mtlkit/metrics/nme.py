"""Normalized mean error of keypoints."""

import math

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.metrics.base import Metric, MetricState, SumState
from mtlkit.targets.base import Target
from mtlkit.targets.keypoints import points_of
from mtlkit.targets.vector import VectorTarget


@attrs.frozen(kw_only=True)
class NME(Metric):
    """Mean distance of predicted and true keypoints, relative to the size of each sample.

    A keypoint is two components, named ``NAME_x`` and ``NAME_y``. The mean is over the present
    points of a sample, then over samples. The size is the true distance of the two points of
    `between`, such as ``[left_eye, right_eye]``; without it, the root of the area of the box around
    the true points. Samples without a size, or with a size of 0, are ignored.

    >>> NME().name, NME(between=("left_eye", "right_eye")).name
    ('nme', 'nme-left_eye-right_eye')
    """

    targets = (VectorTarget,)
    higher_is_better = False
    unit = "fraction"
    bounds = (0.0, math.inf)

    between: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        return "-".join(("nme", *(self.between or ())))

    def build(self, target: Target) -> MetricState:
        points = keypoints(target.components)
        missing = [point for point in self.between or () if point not in points]
        if missing:
            raise DataError(
                f"{self.name}: got the points {', '.join(points)}; expected {missing[0]!r}, named "
                f"by `between`"
            )
        between = self.between and tuple(points.index(point) for point in self.between)
        return KeypointState(target, points, between)


def keypoints(components: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the points with the components ``NAME_x`` and ``NAME_y``.

    >>> keypoints(("eye_x", "eye_y", "nose_x", "nose_y"))
    ('eye', 'nose')
    """
    points = points_of(components)
    if not points or 2 * len(points) != len(components):
        raise DataError(
            f"nme: got the components {', '.join(components)}; expected only pairs NAME_x and "
            f"NAME_y"
        )
    return points


class KeypointState(SumState):
    """Sum of the errors of samples, and their number."""

    def __init__(
        self, target: Target, points: tuple[str, ...], between: tuple[int, ...] | None
    ) -> None:
        super().__init__(target, 2)
        names = target.components
        self._order = torch.tensor(
            [[names.index(f"{point}_{axis}") for axis in "xy"] for point in points]
        )
        self._between = between

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        order = self._order.to(labels.device)
        predicted, true = outputs[:, order].double(), labels[:, order].double()  # (N, P, 2)
        present = ~true.isnan().any(dim=2)
        size = self._size(true, present)
        distance = torch.where(present, (predicted - true).norm(dim=2), 0.0)
        error = distance.sum(dim=1) / present.sum(dim=1) / size
        counted = (size > 0) & present.any(dim=1)
        total = torch.where(counted, error, 0.0).sum()
        self._add(torch.stack([total, counted.sum().double()]))

    def compute(self) -> float | None:
        total, count = self._sums.tolist()
        return total / count if count else None

    def _size(self, true: Tensor, present: Tensor) -> Tensor:
        """Return the size of each sample (N,); NaN if a point that it needs is missing."""
        if self._between is not None:
            first, second = self._between
            size: Tensor = torch.linalg.vector_norm(true[:, first] - true[:, second], dim=1)
            return size
        mask = present.unsqueeze(2)
        high = torch.where(mask, true, -torch.inf).amax(dim=1)
        low = torch.where(mask, true, torch.inf).amin(dim=1)
        return (high - low).clamp_min(0).prod(dim=1).sqrt()
