"""Base classes of backbones: options, and a module that maps inputs to features."""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor, nn

from mtlkit.component import Component
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.inputs import Batch, InputSpecs
from mtlkit.features.pretrained import PretrainedImages
from mtlkit.features.vectors import VectorFeatures


@attrs.frozen(kw_only=True)
class Backbone(Component):
    """Options of a backbone, which maps inputs to the features that all tasks share."""

    @property
    def gives(self) -> type[FeatureSpec]:
        """Kind of the features, used to check a recipe before anything is built."""
        return VectorFeatures

    def setting_for(self, kinds: tuple[type[FeatureSpec], ...]) -> str | None:
        """Return the option that selects features of one of the `kinds`, for messages, if any."""
        return None

    @abstractmethod
    def build(self, inputs: InputSpecs) -> "BackboneModule":
        """Return the module for these inputs. Raises `AssemblyError` if they do not fit."""

    def pretrained_images(self) -> PretrainedImages | None:
        """Return the preprocessing that pretrained weights expect of images; None without them."""
        return None

    def blank(self) -> "Backbone":
        """Return the options without pretrained weights, used to load a saved model."""
        return self


class BackboneModule(nn.Module, ABC):
    """Maps inputs to one tensor of features, described by `features`.

    Inputs are normalized: a tensor (N, ...), or several by name.
    """

    features: FeatureSpec

    notes: tuple[str, ...] = ()
    """Lines for the user about weights that may not be as intended."""

    @abstractmethod
    def forward(self, inputs: Batch) -> Tensor:
        """Return the features of `inputs`."""

    def context(self, inputs: Batch) -> Context:
        """Return what adapters need in addition to the features, such as a mask of tokens."""
        return {}


class SplittableBackbone(BackboneModule):
    """A backbone that can be split before its last block, so that branches can copy the block.

    `forward` computes `tail(stem(inputs))`.
    """

    def forward(self, inputs: Batch) -> Tensor:
        return self.tail(self.stem(inputs))

    @abstractmethod
    def stem(self, inputs: Batch) -> Tensor:
        """Return the maps that enter the last block."""

    @abstractmethod
    def tail(self, maps: Tensor) -> Tensor:
        """Apply the last block: map `maps` to features."""

    @abstractmethod
    def new_tail(self) -> nn.Module:
        """Return a new last block of the same shape, with its own weights and statistics."""
