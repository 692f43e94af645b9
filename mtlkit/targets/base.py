"""The base class of targets, the types of the labels that tasks predict."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.component import Component
from mtlkit.errors import DataError
from mtlkit.targets.decoded import Decoded, by_name
from mtlkit.targets.geometry import Box, Size


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
    missing: ClassVar[float]
    """Value of a missing element."""

    wider: ClassVar[tuple[torch.dtype, ...]] = ()
    """Other dtypes of labels that are accepted, for values that `dtype` would round."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that a label selects from; empty if labels are not classes."""
        return ()

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the components along dimension 1 of a batch of labels; empty if it has none."""
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
        if labels.dtype not in (self.dtype, *self.wider):
            raise DataError(f"expected labels in {self.dtype}, got {labels.dtype}")

    def picture(self, labels: Tensor, like: Tensor) -> Tensor | None:
        """Return the labels of one sample, without N, as colors (H, W, 3) in bytes.

        Numbers have the scale of the labels `like`. Labels without pixels have no picture: None.
        """
        return None

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the predictions of a head's raw `outputs`: probabilities of classes, or numbers.

        Numbers are unchanged.
        """
        return outputs

    def decode(self, predictions: Tensor, mask: Tensor | None = None) -> Decoded:
        """Return `predictions` (N, ...), of `probabilities`, as columns of a table or as maps.

        `mask` (N, L) is False for the padding of sequences.
        """
        if self.dims == 1:
            return Decoded(columns={"": predictions.tolist(), **self._units(len(predictions))})
        if self.dims == 2:
            names = self.components or tuple(map(str, range(predictions.shape[1])))
            units = self._units(len(predictions))
            return Decoded(columns={**by_name(names, predictions), **units})
        return Decoded(maps=predictions)

    @property
    def units(self) -> str:
        """Unit of the numbers, such as "mm"; empty if there is none."""
        return ""

    def _units(self, count: int) -> dict[str, list[str]]:
        return {"unit": [self.units] * count} if self.units else {}

    def flip(self, labels: Tensor, frame: Size) -> Tensor:
        """Return the labels of one sample, without N, for an input that is mirrored in x.

        `frame` is the height and width of the input. Labels without pixels are unchanged, here as
        in `crop` and `rotate`.
        """
        return self._without_pixels(labels, "flip")

    def crop(
        self, labels: Tensor, frame: Size, box: Box, size: Size, *, zoom: float = 1.0
    ) -> Tensor:
        """Return the labels of one sample for the pixels in `box`, resized to `size`.

        A `zoom` above 1 changes the apparent distance: the camera has a longer lens.
        """
        return self._without_pixels(labels, "crop")

    def rotate(self, labels: Tensor, frame: Size, degrees: float) -> Tensor:
        """Return the labels of one sample for an input turned counterclockwise, as seen."""
        return self._without_pixels(labels, "rotate")

    def _without_pixels(self, labels: Tensor, rule: str) -> Tensor:
        if self.dims > 2:
            kind = type(self).__name__
            raise DataError(f"transforms: {kind} has no rule for its pixels; define {kind}.{rule}")
        return labels


def nouns(targets: Sequence[type[Target]]) -> str:
    """Return the nouns of types of targets, for messages.

    >>> from mtlkit.data import ClassTarget, NumberTarget
    >>> nouns((ClassTarget, NumberTarget))
    'a class or a number'
    """
    return " or ".join(target.noun for target in targets)


def check_columns(names: Sequence[str], labels: Tensor) -> None:
    """Raise `DataError` unless `labels` (N, K) have a column for each of `names`."""
    if labels.shape[1] != len(names):
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise DataError(f"expected {len(names)} columns ({shown}), got {labels.shape[1]}")
