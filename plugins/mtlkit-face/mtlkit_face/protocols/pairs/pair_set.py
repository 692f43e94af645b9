"""Pairs of pictures to verify, as every protocol of pairs comes down to."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.pictures import FaceImage

Places = npt.NDArray[np.int64]


@attrs.frozen(eq=False, kw_only=True)
class PairSet:
    """P pairs of N pictures.

    `first` and `second` (P,) are places in `pictures`, `same` (P,) says who shows one person,
    `fold` (P,) is the fold of each pair, from 0. `person` (N,) numbers who is shown; None where
    the set does not say. `version` is what the set says it is, for the result.
    """

    pictures: Sequence[FaceImage]
    first: Places
    second: Places
    same: Bools
    fold: Places
    person: Places | None
    version: str

    def __len__(self) -> int:
        return len(self.same)

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return int(self.fold.max()) + 1

    def used(self) -> Places:
        """The places of the pictures that are in a pair."""
        return np.unique(np.concatenate([self.first, self.second]))

    def missing(self) -> list[str]:
        """The pictures of a pair without a file, as the lists call them."""
        used = (self.pictures[place] for place in self.used())
        return [picture.name for picture in used if picture.source is None]
