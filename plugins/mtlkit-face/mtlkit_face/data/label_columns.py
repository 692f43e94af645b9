"""Label columns with a given vocabulary."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from mtlkit.data import Categorical


def label_column(
    values: npt.NDArray[np.integer], vocabulary: Sequence[int], words: Sequence[str] | None = None
) -> Categorical:
    """Return the column of `values` (N,) of a `vocabulary`, whose members `words` name in order.

    >>> label_column(np.array([30, -30, 30]), [-30, 0, 30]).names
    ('-30', '0', '30')
    """
    code = np.full(max(vocabulary) - min(vocabulary) + 1, -1, np.int64)
    code[np.array(vocabulary) - min(vocabulary)] = np.arange(len(vocabulary))
    names = [str(number) for number in vocabulary] if words is None else words[: len(vocabulary)]
    return Categorical(torch.from_numpy(code[values - min(vocabulary)]), tuple(names))
