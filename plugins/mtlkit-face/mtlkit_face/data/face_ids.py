"""Ids of the faces of a split, made on access."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

MIRROR = "#mirror"
"""Suffix of the id of a mirrored image."""


@attrs.frozen(eq=False)
class FaceIds(Sequence[str]):
    """The `ids` of the faces at `positions` (N,), made on access; `flipped` (N,) have a suffix.

    >>> FaceIds(["a", "b"], np.array([1, 0]), np.array([False, True]))[1]
    'a#mirror'
    """

    ids: Sequence[str]
    positions: npt.NDArray[np.integer]
    flipped: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return FaceIds(self.ids, self.positions[index], self.flipped[index])
        return self.ids[self.positions[index]] + (MIRROR if self.flipped[index] else "")
