"""Hard parameter sharing (Caruana 1997)."""

from torch import Tensor

from mtlkit.backbones.base import BackboneModule
from mtlkit.routers.base import Features, UnbranchedRouter


class SharedRouter(UnbranchedRouter):
    """One backbone, whose features (N, D) every head sees."""

    def __init__(self, backbone: BackboneModule) -> None:
        super().__init__()
        self.backbone = backbone
        self.features = backbone.features

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.backbone(inputs))
