"""The base class of targets, the types of the labels that tasks predict."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import Component
from mtlkit.errors import DataError


@attrs.frozen(kw_only=True)
class Target(Component):
    """Type of the labels of a task: their shape, their dtype, and how a missing one is coded.

    Shapes: N samples, K components or names, C channels, (H, W) pixels, L tokens.

    `noun` names a label in messages, `shape` describes a batch of labels, `dims` is its number of
    dimensions, and `default_head` is the name of the head that predicts such labels.
    """

    noun: ClassVar[str]
    shape: ClassVar[str]
    dims: ClassVar[int]
    dtype: ClassVar[torch.dtype]
    default_head: ClassVar[str]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that a label selects from; empty if labels are not classes."""
        return ()

    @abstractmethod
    def present(self, labels: Tensor) -> Tensor:
        """Return the mask of the elements of a batch of `labels` that are present.

        It has the shape of the labels, without the dimension of channels if all channels of a pixel
        are present or missing together.
        """

    def weights(self, labels: Tensor) -> Tensor:
        """Return the number of present elements of each sample (N,), in float32."""
        present = self.present(labels)
        return present.float() if present.dim() == 1 else present.flatten(1).sum(dim=1).float()

    def check(self, labels: Tensor) -> None:
        """Raise `DataError` if a batch of `labels` has another shape, dtype or range."""
        if labels.dim() != self.dims:
            raise DataError(f"expected labels of shape {self.shape}, got {tuple(labels.shape)}")
        if labels.dtype != self.dtype:
            raise DataError(f"expected labels in {self.dtype}, got {labels.dtype}")


def nouns(targets: Sequence[type[Target]]) -> str:
    """Return the nouns of types of targets, for messages.

    >>> from mtlkit.data import ClassTarget, NumberTarget
    >>> nouns((ClassTarget, NumberTarget))
    'a class or a number'
    """
    return " or ".join(target.noun for target in targets)
