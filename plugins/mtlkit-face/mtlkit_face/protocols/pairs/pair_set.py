"""The common form of all protocols of pairs."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.plugins import DataError
from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.pictures import FaceImage

Indices = npt.NDArray[np.int64]


@attrs.frozen(eq=False, kw_only=True)
class PairSet:
    """P pairs of N pictures.

    `first` and `second` (P,) are indices into `pictures`, `same` (P,) is true for pairs of one
    person, `fold` (P,) is the fold of each pair, from 0. `person` (N,) is the number of the person,
    or None if unknown. `version` describes the set in results. `numbers` are those of the folds in
    the set, if only some of them are used.
    """

    pictures: Sequence[FaceImage]
    first: Indices
    second: Indices
    same: Bools
    fold: Indices
    person: Indices | None
    version: str
    numbers: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.same)

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1

    def number_of(self, fold: int) -> int:
        """Return the number, from 1, of a fold in the set."""
        return self.numbers[fold] if self.numbers else fold + 1

    def only(self, numbers: Sequence[int], place: str) -> "PairSet":
        """Return the pairs of the folds `numbers`, from 1; `DataError` if the set lacks one."""
        missing = [number for number in numbers if number > self.folds]
        if missing:
            raise DataError(
                f"{place}: folds: got {missing[0]}, but the set has the folds 1 to {self.folds}"
            )
        new = np.full(self.folds, -1)
        new[np.array(numbers) - 1] = np.arange(len(numbers))
        fold = new[self.fold]
        kept = fold >= 0
        return attrs.evolve(
            self,
            first=self.first[kept],
            second=self.second[kept],
            same=self.same[kept],
            fold=fold[kept],
            version=f"{self.version}, of which the folds {', '.join(map(str, numbers))}",
            numbers=tuple(numbers),
        )

    def used(self) -> Indices:
        """Return the indices of the pictures that are in a pair."""
        return np.unique(np.concatenate([self.first, self.second]))

    def missing(self) -> list[str]:
        """Return the listed names of pictures of pairs without a file."""
        used = (self.pictures[index] for index in self.used())
        return [picture.name for picture in used if picture.source is None]
