"""Small calls of an op that try its options, to compare implementations with the reference.

Numbers are drawn in float64, so that the reference can compute the exact result.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

FEATURES, CLASSES = 6, 11


class Trial(NamedTuple):
    """One way to call an op.

    `call` takes the name of an implementation and the `inputs`, floating tensors that may be
    differentiated, and returns one floating tensor. `missing` (N,) marks the rows of the first
    input that have no label, and so must not count.
    """

    inputs: tuple[Tensor, ...]
    call: Callable[..., Tensor]
    missing: Tensor | None = None


class TrialInputs:
    """Random inputs and labels for `rows` samples, drawn from one generator."""

    def __init__(self, rows: int, generator: torch.Generator) -> None:
        self.rows, self.generator = rows, generator

    def normal(self, *size: int) -> Tensor:
        """Return normal numbers in float64."""
        return torch.randn(*size, generator=self.generator, dtype=torch.float64)

    def features(self) -> Tensor:
        """Return the features (N, D) of the samples."""
        return self.normal(self.rows, FEATURES)

    def linear(self, *classes: int) -> list[Tensor]:
        """Return a weight (C, D) and a bias (C,) for each number of classes C, in turns."""
        sizes = [size for count in classes for size in ((count, FEATURES), (count,))]
        return [self.normal(*size) for size in sizes]

    def labels(self, classes: int, missing: int = -100) -> Tensor:
        """Return labels (N,) below `classes`, of which every third is missing."""
        labels = torch.randint(classes, (self.rows,), generator=self.generator)
        labels[1::3] = missing
        return labels
