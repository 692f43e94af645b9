"""The contract of backbones: options, and a module from inputs to features."""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor, nn

from mtlkit.component import Component


@attrs.frozen(kw_only=True)
class Backbone(Component):
    """What turns inputs into the features that all tasks share."""

    @abstractmethod
    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        """The module for inputs ``(N, *sample_shape)``."""

    def blank(self) -> "Backbone":
        """The same backbone without weights from elsewhere: a saved model brings its own."""
        return self


class BackboneModule(nn.Module, ABC):
    """Inputs (N, ...) to features (N, D), with D in `features`."""

    features: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Features (N, D) of inputs (N, ...)."""


class SplittableBackbone(BackboneModule):
    """A backbone whose last block can be taken apart, so that branches may have their own.

    `tail(stem(inputs))` is what `forward` computes.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        return self.tail(self.stem(inputs))

    @abstractmethod
    def stem(self, inputs: Tensor) -> Tensor:
        """The maps that enter the last block."""

    @abstractmethod
    def tail(self, maps: Tensor) -> Tensor:
        """The last block: maps to features (N, D)."""

    @abstractmethod
    def new_tail(self) -> nn.Module:
        """Another last block of the same shape, with weights and statistics of its own."""
