"""One class for each sample."""

from collections.abc import Sequence
from typing import Any

import attrs
from torch import Tensor

from mtlkit.targets.codes import ClassesTarget
from mtlkit.targets.decoded import CLASSES, Decoded, by_name


@attrs.frozen(kw_only=True)
class ClassTarget(ClassesTarget):
    """One class for each sample: codes (N,) into `names`, -1 if missing.

    >>> import torch
    >>> ClassTarget(names=("left", "right")).weights(torch.tensor([1, -1])).tolist()
    [1.0, 0.0]
    """

    noun = "a class"
    shape = "(N,)"
    dims = 1
    default_head = "classification"

    def decode(self, predictions: Tensor, mask: Tensor | None = None) -> Decoded:
        highest, codes = predictions.max(dim=1)
        columns: dict[str, Sequence[Any]] = {
            "": [self.names[code] for code in codes.tolist()],
            "probability": highest.tolist(),
        }
        if len(self.names) <= CLASSES:
            columns |= by_name(self.names, predictions, "probability/")
        return Decoded(columns=columns)
