"""Targets whose elements are real numbers."""

import math

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class RealTarget(Target):
    """A target of real numbers, NaN for a missing element."""

    dtype = torch.float32
    missing = math.nan

    def present(self, labels: Tensor) -> Tensor:
        return ~labels.isnan()

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        if labels.isinf().any():
            raise DataError(
                "expected finite numbers, or NaN for a missing one, got an infinite one"
            )
