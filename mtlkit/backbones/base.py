"""Base classes of backbones: options, and a module that maps inputs to features."""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor, nn

from mtlkit.component import Component


@attrs.frozen(kw_only=True)
class Backbone(Component):
    """Options of a backbone, which maps inputs to the features that all tasks share."""

    @abstractmethod
    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        """Return the module for inputs ``(N, *sample_shape)``."""

    def blank(self) -> "Backbone":
        """Return the options without pretrained weights, used to load a saved model."""
        return self


class BackboneModule(nn.Module, ABC):
    """Maps inputs (N, ...) to features (N, D), where D is `features`."""

    features: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features (N, D) of inputs (N, ...)."""


class SplittableBackbone(BackboneModule):
    """A backbone that can be split before its last block, so that branches can copy the block.

    `forward` computes `tail(stem(inputs))`.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        return self.tail(self.stem(inputs))

    @abstractmethod
    def stem(self, inputs: Tensor) -> Tensor:
        """Return the maps that enter the last block."""

    @abstractmethod
    def tail(self, maps: Tensor) -> Tensor:
        """Apply the last block: map `maps` to features (N, D)."""

    @abstractmethod
    def new_tail(self) -> nn.Module:
        """Return a new last block of the same shape, with its own weights and statistics."""
