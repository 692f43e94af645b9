"""Predictions of a batch in the words of a target: cells of a table, or maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor


@attrs.frozen(eq=False, kw_only=True)
class Decoded:
    """Predictions of N samples for one task: `columns` of N cells by name, or `maps` (N, ...).

    The name of a column is added to that of the task; "" is the prediction itself.

    >>> Decoded(columns={"": ["left"], "probability": [0.75]}).maps is None
    True
    """

    columns: Mapping[str, Sequence[Any]] = attrs.field(factory=dict)
    maps: Tensor | None = None


CLASSES = 100
"""Largest number of classes whose probabilities are all columns of the table."""


def by_name(names: Sequence[str], values: Tensor, prefix: str = "") -> dict[str, Sequence[Any]]:
    """Return a column of `values` (N, K) for each of K `names`."""
    columns = values.T.tolist() if values.numel() else [[] for _ in names]
    return {f"{prefix}{name}": column for name, column in zip(names, columns, strict=True)}
