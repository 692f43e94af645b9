"""Multi-task attention network (MTAN; Liu, Johns & Davison, CVPR 2019).

Paper: Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning with
Attention", CVPR 2019.
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import BackboneModule, SplittableBackbone
from mtlkit.component import at_least
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs
from mtlkit.features.vectors import VectorFeatures
from mtlkit.routers.base import Features, RouterModule, Unbranched, UnbranchedRouter, Wiring
from mtlkit.routers.experts import POSITIONWISE


@attrs.frozen(kw_only=True)
class MTAN(Unbranched):
    """A shared network with soft attention masks of each task (Liu et al., CVPR 2019).

    Masks apply to the features and, with `maps` and a backbone that can be split, also to the maps
    before its last block. Gradients then cannot be compared at the features, because tasks share
    the maps too. The hidden layers of the masks are `reduction` times narrower than their inputs.
    """

    reads = POSITIONWISE

    maps: bool = True
    reduction: int = attrs.field(default=4, validator=at_least(1))

    @property
    def shared_features(self) -> bool:
        return not self.maps

    @property
    def shared_last_layer(self) -> bool:
        return True  # every mask multiplies the features, which this layer returns

    def build(self, wiring: Wiring) -> "RouterModule":
        return MTANRouter(self, wiring)


class Attention(nn.Module):
    """Masks a = sigmoid(h(g([u; f(a')]))) of maps or rows of features u, and a * u.

    The layers g and h are 1x1 convolutions of maps (N, C, H, W), or linear in rows (..., D), where
    f(a') (..., D) is the output of the attention to the maps, if there is one. The paper's batch
    norm is omitted because a micro-batch may be a single sample.
    """

    def __init__(self, inner: nn.Module, outer: nn.Module) -> None:
        super().__init__()
        self.mask = nn.Sequential(inner, nn.ReLU(), outer, nn.Sigmoid())

    def forward(self, features: Tensor, before: Tensor | None = None) -> Tensor:
        inputs = features if before is None else torch.cat([features, before], dim=-1)
        attended: Tensor = self.mask(inputs) * features
        return attended


class MTANRouter(UnbranchedRouter):
    """One backbone, and for each task attention to its features and, if available, its maps.

    The attended maps pass a shared layer f with pooling, because the last block of a backbone
    returns one vector.
    """

    def __init__(self, config: MTAN, wiring: Wiring) -> None:
        super().__init__()
        self.backbone, self.tasks = wiring.backbone, wiring.tasks
        self.features = wiring.backbone.features
        size = self.features.width
        channels = _map_channels(wiring.backbone, wiring.inputs) if config.maps else None
        self.at_maps = self.pooled = None
        if channels is not None:
            hidden = max(1, channels // config.reduction)
            self.at_maps = nn.ModuleList(
                Attention(nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1))
                for _ in self.tasks
            )
            self.pooled = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, size), nn.ReLU()
            )
        hidden, inputs = max(1, size // config.reduction), size if channels is None else 2 * size
        self.at_features = nn.ModuleList(
            Attention(nn.Linear(inputs, hidden), nn.Linear(hidden, size)) for _ in self.tasks
        )

    def forward(self, inputs: Batch) -> Features:
        if self.at_maps is not None and isinstance(self.backbone, SplittableBackbone):
            maps = self.backbone.stem(inputs)
            return Features(self.backbone.tail(maps), maps)
        return Features(self.backbone(inputs))

    def own_modules(self) -> Sequence[nn.Module]:
        return [m for m in (self.at_maps, self.pooled, self.at_features) if m is not None]

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        attended: list[Tensor | None] = [None] * len(self.tasks)
        if self.at_maps is not None and self.pooled is not None:
            attended = [self.pooled(attention(maps)) for attention in self.at_maps]
        rows = self.features.rows(features)
        return {
            task: self.features.from_rows(attention(rows, before))
            for task, attention, before in zip(self.tasks, self.at_features, attended, strict=True)
        }


def _map_channels(backbone: BackboneModule, inputs: InputSpecs) -> int | None:
    """Return the channels of the maps before the last block; None if no block pools maps."""
    if not isinstance(backbone, SplittableBackbone) or not isinstance(inputs, InputSpec):
        return None
    if not isinstance(backbone.features, VectorFeatures):
        return None
    training = backbone.training
    backbone.eval()
    with torch.no_grad():
        maps = backbone.stem(torch.zeros(1, *inputs.shape))
    backbone.train(training)
    return int(maps.shape[1]) if maps.dim() == 4 else None
