"""One class for each token of a sequence."""

from typing import ClassVar

import attrs

from mtlkit.targets.codes import CodedTarget


@attrs.frozen(kw_only=True)
class TokenTarget(CodedTarget):
    """One class for each token: codes (N, L) into `names`, -1 for padding and missing labels."""

    noun: ClassVar[str] = "a class of each token"
    shape: ClassVar[str] = "(N, L)"
    dims: ClassVar[int] = 2
    default_head: ClassVar[str] = "token-classification"

    names: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.names

    @property
    def codes(self) -> int:
        return len(self.names)
