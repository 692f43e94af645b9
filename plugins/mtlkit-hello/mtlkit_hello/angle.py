"""The target `angle`."""

from typing import ClassVar

import attrs
from torch import Tensor

from mtlkit.data import NumberTarget
from mtlkit.plugins import DataError


@attrs.frozen(kw_only=True)
class Angle(NumberTarget):
    """An angle of each sample (N,), in degrees from -180 to 180; NaN if missing."""

    noun: ClassVar[str] = "an angle"  # in messages

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        wrong = labels[labels.abs() > 180]
        if len(wrong):
            raise DataError(f"expected angles from -180 to 180, got {float(wrong[0]):g}")
