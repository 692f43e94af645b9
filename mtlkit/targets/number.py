"""One number for each sample."""

import attrs
import torch

from mtlkit.targets.numbers import RealTarget


@attrs.frozen(kw_only=True)
class NumberTarget(RealTarget):
    """One number for each sample (N,), NaN if missing; `unit` is shown with predictions.

    >>> NumberTarget().weights(torch.tensor([2.5, torch.nan])).tolist()
    [1.0, 0.0]
    """

    noun = "a number"
    shape = "(N,)"
    dims = 1
    default_head = "regression"
    wider = (torch.float64,)

    unit: str = ""

    @property
    def units(self) -> str:
        return self.unit
