"""One class for each sample."""

from typing import ClassVar

import attrs

from mtlkit.targets.codes import CodedTarget


@attrs.frozen(kw_only=True)
class ClassTarget(CodedTarget):
    """One class for each sample: codes (N,) into `names`, -1 if missing.

    >>> import torch
    >>> ClassTarget(names=("left", "right")).weights(torch.tensor([1, -1])).tolist()
    [1.0, 0.0]
    """

    noun: ClassVar[str] = "a class"
    shape: ClassVar[str] = "(N,)"
    dims: ClassVar[int] = 1
    default_head: ClassVar[str] = "classification"

    names: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.names

    @property
    def codes(self) -> int:
        return len(self.names)
