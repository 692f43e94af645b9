"""The backbone `small-conv`: its options. The network is in `small_conv_trunk`."""

from typing import TYPE_CHECKING

import attrs

from mtlkit.backbones import Backbone
from mtlkit.plugins import at_least

if TYPE_CHECKING:
    from mtlkit.backbones import BackboneModule


@attrs.frozen(kw_only=True)
class SmallConv(Backbone):
    """Two convolutions and a mean over the image, for small images.

    The first convolution has `channels` outputs, the second twice as many, which are the features.
    """

    channels: int = attrs.field(default=8, validator=at_least(1))

    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        # torch is imported here and no earlier: listing and checking must not wait for it
        from mtlkit_hello.small_conv_trunk import SmallConvTrunk

        return SmallConvTrunk(self, sample_shape)
