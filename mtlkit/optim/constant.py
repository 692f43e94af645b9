"""A constant learning rate."""

import attrs

from mtlkit.optim.base import Schedule


@attrs.frozen(kw_only=True)
class Constant(Schedule):
    """The same learning rate throughout."""

    def factor(self, progress: float) -> float:
        return 1.0
