"""Label columns whose vocabulary is known before the labels are."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from mtlkit.data import Categorical


def label_column(
    values: npt.NDArray[np.integer], vocabulary: Sequence[int], words: Sequence[str] | None = None
) -> Categorical:
    """The column of `values` (N,), all of a `vocabulary`; `words` name its members in order.

    >>> label_column(np.array([30, -30, 30]), [-30, 0, 30]).names
    ('-30', '0', '30')
    """
    place = np.full(max(vocabulary) - min(vocabulary) + 1, -1, np.int64)
    place[np.array(vocabulary) - min(vocabulary)] = np.arange(len(vocabulary))
    names = [str(number) for number in vocabulary] if words is None else words[: len(vocabulary)]
    return Categorical(torch.from_numpy(place[values - min(vocabulary)]), tuple(names))
