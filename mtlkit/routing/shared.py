"""Hard parameter sharing (Caruana 1997)."""

from collections.abc import Mapping

from torch import Tensor

from mtlkit.backbones.module import BackboneModule
from mtlkit.routing.module import BranchOutputs, Features, RouterModule


class SharedRouter(RouterModule):
    """One backbone, whose features (N, D) every head sees."""

    def __init__(self, backbone: BackboneModule) -> None:
        super().__init__()
        self.backbone = backbone
        self.features = backbone.features

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.backbone(inputs))

    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return {}

    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def branch_outputs(
        self,
        features: Features,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None,
    ) -> dict[str, BranchOutputs]:
        return {}
