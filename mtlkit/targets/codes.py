"""Targets whose elements are codes of classes."""

from abc import abstractmethod
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.targets.base import Target
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class CodedTarget(Target):
    """A target of int64 codes: 0 to the number of classes, or -1 for a missing element."""

    dtype = torch.int64
    missing = MISSING
    class_dim: ClassVar[int] = -1
    """Dimension of the classes in the logits of a head."""

    @property
    @abstractmethod
    def codes(self) -> int:
        """Number of different codes."""

    def present(self, labels: Tensor) -> Tensor:
        return labels != MISSING

    def occurring(self, labels: Tensor) -> Tensor:
        """Return which of the C classes occur in a batch of `labels`, as a mask (C,).

        >>> import torch
        >>> from mtlkit.data import ClassTarget
        >>> ClassTarget(names=("left", "right")).occurring(torch.tensor([1, -1])).tolist()
        [False, True]
        """
        counts = torch.bincount(labels.flatten() - MISSING, minlength=self.codes + 1)
        return counts[1:] > 0

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=self.class_dim)

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        wrong = labels[(labels < MISSING) | (labels >= self.codes)]
        if len(wrong):
            raise DataError(
                f"expected codes from 0 to {self.codes - 1}, or {MISSING} for a missing label, got "
                f"{int(wrong[0])}"
            )


@attrs.frozen(kw_only=True)
class ClassesTarget(CodedTarget):
    """A target with one of the classes `names` for each element."""

    names: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.names

    @property
    def codes(self) -> int:
        return len(self.names)
