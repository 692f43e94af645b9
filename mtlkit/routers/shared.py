"""Hard parameter sharing (Caruana 1997).

Paper: Rich Caruana, "Multitask Learning", Machine Learning 28, 1997.
"""

import attrs

from mtlkit.backbones.base import BackboneModule
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch
from mtlkit.routers.base import Features, RouterModule, Unbranched, UnbranchedRouter, Wiring


@attrs.frozen(kw_only=True)
class Shared(Unbranched):
    """Hard sharing: every head reads the shared features of every sample."""

    reads = (FeatureSpec,)
    calls_backbone = True

    def build(self, wiring: Wiring) -> "RouterModule":
        return SharedRouter(wiring.backbone)


class SharedRouter(UnbranchedRouter):
    """One backbone, whose features every head reads."""

    def __init__(self, backbone: BackboneModule) -> None:
        super().__init__()
        self.backbone = backbone
        self.features = backbone.features

    def forward(self, inputs: Batch) -> Features:
        return Features(self.backbone(inputs))
