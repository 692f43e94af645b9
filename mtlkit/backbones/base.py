"""What a built backbone is."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


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
