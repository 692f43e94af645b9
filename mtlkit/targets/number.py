"""One number for each sample."""

from typing import ClassVar

import attrs
import torch

from mtlkit.targets.numbers import RealTarget


@attrs.frozen(kw_only=True)
class NumberTarget(RealTarget):
    """One number for each sample (N,), NaN if missing; `unit` is shown with predictions.

    >>> NumberTarget().weights(torch.tensor([2.5, torch.nan])).tolist()
    [1.0, 0.0]
    """

    noun: ClassVar[str] = "a number"
    shape: ClassVar[str] = "(N,)"
    dims: ClassVar[int] = 1
    default_head: ClassVar[str] = "regression"
    wider: ClassVar[tuple[torch.dtype, ...]] = (torch.float64,)

    unit: str = ""

    @property
    def units(self) -> str:
        return self.unit
