"""The common form of all protocols of pairs."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.pictures import FaceImage

Indices = npt.NDArray[np.int64]


@attrs.frozen(eq=False, kw_only=True)
class PairSet:
    """P pairs of N pictures.

    `first` and `second` (P,) are indices into `pictures`, `same` (P,) is true for pairs of one
    person, `fold` (P,) is the fold of each pair, from 0. `person` (N,) is the number of the person,
    or None if unknown. `version` describes the set in results.
    """

    pictures: Sequence[FaceImage]
    first: Indices
    second: Indices
    same: Bools
    fold: Indices
    person: Indices | None
    version: str

    def __len__(self) -> int:
        return len(self.same)

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1

    def used(self) -> Indices:
        """Return the indices of the pictures that are in a pair."""
        return np.unique(np.concatenate([self.first, self.second]))

    def missing(self) -> list[str]:
        """Return the listed names of pictures of pairs without a file."""
        used = (self.pictures[index] for index in self.used())
        return [picture.name for picture in used if picture.source is None]
