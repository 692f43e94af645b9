"""One class for each token of a sequence."""

import attrs
import torch
from torch import Tensor

from mtlkit.targets.codes import ClassesTarget
from mtlkit.targets.decoded import Decoded


@attrs.frozen(kw_only=True)
class TokenTarget(ClassesTarget):
    """One class for each token: codes (N, L) into `names`, -1 for padding and missing labels."""

    noun = "a class of each token"
    shape = "(N, L)"
    dims = 2
    default_head = "token-classification"

    def decode(self, predictions: Tensor, mask: Tensor | None = None) -> Decoded:
        highest, codes = predictions.max(dim=self.class_dim)
        present = torch.ones_like(codes, dtype=torch.bool) if mask is None else mask
        rows = range(len(codes))
        return Decoded(
            columns={
                "": [[self.names[code] for code in codes[row, present[row]]] for row in rows],
                "probability": [highest[row, present[row]].tolist() for row in rows],
            }
        )
