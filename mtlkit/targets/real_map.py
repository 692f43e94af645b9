"""Real numbers for each pixel, such as depth."""

from typing import ClassVar

import attrs

from mtlkit.component import at_least
from mtlkit.targets.numbers import RealTarget


@attrs.frozen(kw_only=True)
class RealMapTarget(RealTarget):
    """Real numbers for each pixel (N, C, H, W), NaN where there is none.

    The weight of a sample is its number of present elements. A data source replaces the code of its
    data set for a missing pixel (0, 255) with NaN.
    """

    noun: ClassVar[str] = "numbers of each pixel"
    shape: ClassVar[str] = "(N, C, H, W)"
    dims: ClassVar[int] = 4
    default_head: ClassVar[str] = "dense-regression"

    channels: int = attrs.field(default=1, validator=at_least(1))
