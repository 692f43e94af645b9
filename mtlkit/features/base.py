"""The base class of feature specs, which describe the output of a backbone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
from torch import Tensor

Context = Mapping[str, Tensor]
"""Tensors that describe features and have no gradient, such as a mask of tokens, by name."""


@attrs.frozen(kw_only=True)
class FeatureSpec(ABC):
    """Kind and size of features, all of which are one tensor for a batch of N samples.

    `kind` names the kind in messages, `shape` describes the tensor, and `dims` is its number of
    dimensions. A position is a pixel, a token or a node; a vector has one position.
    """

    kind: ClassVar[str]
    shape: ClassVar[str]
    dims: ClassVar[int]

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of features at each position, and width of `pool`."""

    def rows(self, features: Tensor) -> Tensor:
        """Return `features` as (..., `width`), one row for each position; a view."""
        return features

    def from_rows(self, rows: Tensor) -> Tensor:
        """Return rows (..., D) of positions in the layout of features; the inverse of `rows`."""
        return rows

    @abstractmethod
    def pool(self, features: Tensor, context: Context) -> Tensor:
        """Return the mean over the positions of each sample (N, `width`)."""

    def max_pool(self, features: Tensor, context: Context) -> Tensor:
        """Return the maximum over the positions of each sample (N, `width`)."""
        return self.pool(features, context)

    def with_width(self, width: int) -> Self:
        """Return the spec of features of the same kind with `width` features at each position."""
        changes: dict[str, Any] = {"width": width}
        return attrs.evolve(self, **changes)

    def mismatch(self, features: Tensor, samples: int) -> str | None:
        """Return the difference of the features of `samples` samples from this spec, or None."""
        if features.dim() != self.dims:
            return f"features are {tuple(features.shape)}, expected {self.shape}"
        width = int(self.rows(features).shape[-1])
        if width != self.width:
            return f"features have width {width}, expected {self.width}"
        if len(features) != samples:
            return f"features are those of {len(features)} samples, expected {samples}"
        return None


def described(kinds: tuple[type[FeatureSpec], ...]) -> str:
    """Return the kinds as text.

    >>> from mtlkit.features.vectors import VectorFeatures
    >>> described((VectorFeatures,))
    'vectors (N, D)'
    """
    return " or ".join(f"{kind.kind} {kind.shape}" for kind in kinds)
