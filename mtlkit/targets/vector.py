"""Several numbers for each sample."""

from typing import ClassVar

import attrs

from mtlkit.targets.numbers import RealTarget


@attrs.frozen(kw_only=True)
class VectorTarget(RealTarget):
    """Several numbers for each sample (N, K), NaN for a missing one; `names` are the components."""

    noun: ClassVar[str] = "several numbers"
    shape: ClassVar[str] = "(N, K)"
    dims: ClassVar[int] = 2
    default_head: ClassVar[str] = "vector-regression"

    names: tuple[str, ...]
