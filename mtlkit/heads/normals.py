"""Surface normals: a unit vector for each pixel.

Paper: David Eigen and Rob Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a
Common Multi-Scale Convolutional Architecture", ICCV 2015, eq. 2.
"""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.features.base import FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.elements import sample_means
from mtlkit.heads.layers import map_layers, sizes
from mtlkit.heads.maps import MapHead
from mtlkit.metrics.angles import AngleMean, AngleMedian
from mtlkit.targets.base import Target
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget


@attrs.frozen(kw_only=True)
class Normals(Head):
    """1x1 convolutions that predict a unit vector for each pixel, on a map of features.

    The loss is 1 - n . m for predicted and true vectors (Eigen & Fergus, ICCV 2015, eq. 2, plus 1):
    0 for equal vectors, 2 for opposite ones. `hidden` are the channels of hidden 1x1 convolutions.
    """

    targets = (UnitVectorMapTarget,)
    reads = (MapFeatures,)
    default_metrics = (AngleMean(), AngleMedian())

    hidden: tuple[int, ...] = attrs.field(default=(), validator=sizes)

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(features, MapFeatures)
        return NormalsHead(self, features)


class NormalsHead(MapHead):
    """Unit vectors (N, 3, H, W) and the mean loss of the pixels of each sample that have a vector.

    >>> head = NormalsHead(Normals(), MapFeatures(channels=8))
    >>> head(torch.randn(2, 8, 4, 4)).norm(dim=1).allclose(torch.ones(2, 4, 4))
    True
    """

    def __init__(self, config: Normals, features: MapFeatures) -> None:
        super().__init__(features, map_layers(features.channels, config.hidden, 3))

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.maps(features).float(), dim=1)

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        vectors, present = self(features), (target != 0).any(dim=1)
        self.require_size(vectors, target)
        losses = 1 - (vectors * target).sum(dim=1)
        return sample_means(torch.where(present, losses, 0.0), present)
