"""Several numbers for each sample."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.targets.base import check_columns
from mtlkit.targets.geometry import Box, Size, rotate_points
from mtlkit.targets.keypoints import other_side, points_of
from mtlkit.targets.numbers import RealTarget


@attrs.frozen(kw_only=True)
class VectorTarget(RealTarget):
    """Several numbers for each sample (N, K), NaN for a missing one; `names` are the components.

    Components called ``NAME_x`` and ``NAME_y`` are keypoints, in pixels of the input. Transforms
    move them; a mirror exchanges points with "left" and "right" in their names. Other components
    are unchanged.
    """

    noun = "several numbers"
    shape = "(N, K)"
    dims = 2
    default_head = "vector-regression"
    wider = (torch.float64,)

    names: tuple[str, ...]
    unit: str = ""  # of all components, shown with predictions

    @property
    def units(self) -> str:
        return self.unit

    @property
    def components(self) -> tuple[str, ...]:
        return self.names

    def flip(self, labels: Tensor, frame: Size) -> Tensor:
        x, y = self._points(labels)
        return self._with_points(labels, frame[1] - 1 - x, y, [*map(self._mirrored, self._names)])

    def crop(
        self, labels: Tensor, frame: Size, box: Box, size: Size, *, zoom: float = 1.0
    ) -> Tensor:
        x, y = self._points(labels)
        y = (y - box.top + 0.5) * (size[0] / box.height) - 0.5
        x = (x - box.left + 0.5) * (size[1] / box.width) - 0.5
        return self._with_points(labels, x, y, self._names)

    def rotate(self, labels: Tensor, frame: Size, degrees: float) -> Tensor:
        return self._with_points(
            labels, *rotate_points(*self._points(labels), frame, degrees), self._names
        )

    @property
    def _names(self) -> tuple[str, ...]:
        return points_of(self.names)

    def _places(self, points: Sequence[str], axis: str) -> Tensor:
        places = [self.names.index(f"{point}_{axis}") for point in points]
        return torch.tensor(places, dtype=torch.int64)

    def _points(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return x and y (P,) of the points."""
        return labels[self._places(self._names, "x")], labels[self._places(self._names, "y")]

    def _with_points(self, labels: Tensor, x: Tensor, y: Tensor, points: Sequence[str]) -> Tensor:
        """Return `labels` (K,) with the coordinates x and y (P,) of `points`."""
        labels = labels.index_copy(0, self._places(points, "x"), x)
        return labels.index_copy(0, self._places(points, "y"), y)

    def _mirrored(self, point: str) -> str:
        other = other_side(point)
        if other not in self._names:
            raise DataError(
                f"transforms: a mirror exchanges {point!r} with {other!r}, which the target "
                f"lacks; name both points, or neither after a side"
            )
        return other

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        check_columns(self.names, labels)
