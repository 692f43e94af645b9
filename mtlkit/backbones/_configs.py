"""The family of backbones, and the options of the built-in ones."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtlkit.component import Component, above, at_least, between, each

if TYPE_CHECKING:
    from mtlkit.backbones.base import BackboneModule


@attrs.frozen(kw_only=True)
class Backbone(Component):
    """What turns inputs into the features that all tasks share."""

    @abstractmethod
    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        """The module for inputs ``(N, *sample_shape)``."""

    def blank(self) -> "Backbone":
        """The same backbone without weights from elsewhere: a saved model brings its own."""
        return self


@attrs.frozen(kw_only=True)
class CasiaNet(Backbone):
    """CASIA-Net with batch normalisation, the trunk of Yin & Liu (TIP 2018), section 3.1.

    Ten 3x3 convolutions in five blocks, 320 features at `width` 1; the input may be of any size
    from 16 pixels. `width` scales every channel count.
    """

    width: float = attrs.field(default=1.0, validator=above(0))
    dropout: float = attrs.field(default=0.4, validator=between(0, 1))

    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        from mtlkit.backbones.casia_net import CasiaNetBackbone

        return CasiaNetBackbone(self, sample_shape)


@attrs.frozen(kw_only=True)
class TimmModel(Backbone):
    """Any model of timm by its name, without its classifier.

    `weights` is a local file of pretrained weights (safetensors, or a torch file that holds
    tensors only), sought from the working directory. Nothing is downloaded unless `download` says
    so.
    """

    model: str
    weights: Path | None = None
    download: bool = False
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        from mtlkit.backbones.timm_model import TimmBackbone

        return TimmBackbone(self, sample_shape)

    def blank(self) -> Backbone:
        return attrs.evolve(self, weights=None, download=False)


@attrs.frozen(kw_only=True)
class MLP(Backbone):
    """Fully connected layers with ReLU, for tables: one layer for each entry of `hidden`."""

    hidden: tuple[int, ...] = attrs.field(default=(64, 64), validator=each(at_least(1)))
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        from mtlkit.backbones.mlp import MLPBackbone

        return MLPBackbone(self, sample_shape)
