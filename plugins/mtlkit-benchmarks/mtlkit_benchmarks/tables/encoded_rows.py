"""Rows of numbers and categories as inputs of a network, encoded on access."""

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor


@attrs.frozen(eq=False)
class EncodedRows:
    """Inputs (N, F) in float32: `numbers` (N, P), then each column of `codes` (N, C) one-hot.

    A code of -1, of a category that is unknown, has zeros. `sizes` are the numbers of categories.

    >>> rows = EncodedRows(torch.tensor([[0.5]]), torch.tensor([[1]]), (3,))
    >>> rows[torch.tensor([0])].tolist()
    [[0.5, 0.0, 1.0, 0.0]]
    """

    numbers: Tensor
    codes: Tensor
    sizes: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        codes = self.codes[index].long()
        one_hot = [
            F.one_hot(codes[:, place] + 1, size + 1)[:, 1:] for place, size in enumerate(self.sizes)
        ]
        return torch.cat([self.numbers[index], *(part.float() for part in one_hot)], dim=1)


@attrs.frozen
class Encoding:
    """Means and standard deviations of columns of numbers, and the categories of other columns."""

    numbers: Mapping[int, tuple[float, float]]
    categories: Mapping[int, Mapping[str, int]]

    @classmethod
    def fit(
        cls, rows: Sequence[Sequence[str]], numbers: Sequence[int], categories: Sequence[int]
    ) -> "Encoding":
        """Return the encoding of the training rows, by the places of their columns."""
        moments = {}
        for place in numbers:
            values = torch.tensor([float(row[place]) for row in rows], dtype=torch.float64)
            deviation = float(values.std(correction=0))
            moments[place] = (float(values.mean()), deviation or 1.0)
        known = {
            place: {name: code for code, name in enumerate(sorted(Counter(r[place] for r in rows)))}
            for place in categories
        }
        return cls(moments, known)

    def encode(self, rows: Sequence[Sequence[str]]) -> EncodedRows:
        """Return rows; a category that is not in the training rows has zeros."""
        columns = [
            (torch.tensor([float(row[place]) for row in rows]) - mean) / deviation
            for place, (mean, deviation) in self.numbers.items()
        ]
        codes = [
            torch.tensor([known.get(row[place], -1) for row in rows], dtype=torch.int16)
            for place, known in self.categories.items()
        ]
        sizes = [len(known) for known in self.categories.values()]
        return EncodedRows(torch.stack(columns, dim=1), torch.stack(codes, dim=1), sizes)
