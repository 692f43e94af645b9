"""The network of the backbone `small-conv`."""

from torch import Tensor, nn

from mtlkit.backbones import BackboneModule
from mtlkit.plugins import AssemblyError
from mtlkit_hello.small_conv import SmallConv


class SmallConvTrunk(BackboneModule):
    """Images (N, C, H, W) to features (N, 2 * channels)."""

    def __init__(self, config: SmallConv, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(sample_shape) != 3:
            raise AssemblyError(
                f"small-conv expects images (C, H, W), found samples of shape {sample_shape}; "
                f"for tables use `backbone: mlp`"
            )
        width = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(sample_shape[0], width, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.features = 2 * width  # what heads and routers ask for

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.layers(inputs)
        return features
