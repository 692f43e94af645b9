"""Semantic segmentation: a class for each pixel of a map.

Paper: Liang-Chieh Chen, George Papandreou, Florian Schroff and Hartwig Adam, "Rethinking Atrous
Convolution for Semantic Image Segmentation", arXiv:1706.05587, 2017 (the option `atrous`);
Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He and Piotr Dollár, "Focal Loss for Dense Object
Detection", ICCV 2017 (the option `focal`).
"""

import attrs
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.component import at_least
from mtlkit.features.base import FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.heads.aspp import ASPP
from mtlkit.heads.base import HeadModule
from mtlkit.heads.class_loss import ClassHead, ClassLoss
from mtlkit.heads.layers import map_layers, sizes
from mtlkit.heads.linear import LinearClassifier
from mtlkit.heads.maps import MapHead
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.metrics.mean_iou import MeanIoU
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.rows import Rows


@attrs.frozen(kw_only=True)
class Segmentation(ClassHead):
    """1x1 convolutions with the cross-entropy of each pixel, on a map of features.

    `hidden` are the channels of hidden 1x1 convolutions. `atrous` are the dilations of DeepLab's
    atrous spatial pyramid pooling with `channels` channels (Chen et al., 2017, section 3.3), such
    as ``[12, 24, 36]`` at stride 8; empty for none. `class_weights`, `balanced`, `focal` and
    `label_smoothing` are those of `classification`.
    """

    targets = (ClassMapTarget,)
    reads = (MapFeatures,)
    default_metrics = (MeanIoU(), Accuracy())

    atrous: tuple[int, ...] = attrs.field(default=(), validator=sizes)
    channels: int = attrs.field(default=256, validator=at_least(1))

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(features, MapFeatures)
        if features.stride == 1 and self.is_linear and not self.atrous:
            classes, smoothing = len(target.classes), self.label_smoothing
            return PixelClassifier(features.channels, classes, label_smoothing=smoothing)
        return SegmentationHead(self, features, target.classes)


class PixelClassifier(LinearClassifier):
    """Logits W x + b of each pixel (N, C, H, W), whose loss can be fused with that of other tasks.

    >>> import torch
    >>> PixelClassifier(8, 2)(torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.linear.weight[:, :, None, None], self.linear.bias)


class SegmentationHead(MapHead):
    """Logits (N, C, H, W) and the mean cross-entropy of the labeled pixels of each sample.

    >>> import torch
    >>> features = MapFeatures(channels=8, stride=2)
    >>> head = SegmentationHead(Segmentation(), features, ("road", "sky"))
    >>> head(torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 2, 8, 8])
    """

    def __init__(
        self, config: Segmentation, features: MapFeatures, classes: tuple[str, ...]
    ) -> None:
        width, layers = features.channels, nn.Sequential()
        if config.atrous:
            layers.append(ASPP(width, config.channels, config.atrous))
            width = config.channels
        layers.append(map_layers(width, config.hidden, len(classes)))
        super().__init__(features, layers)
        self.objective = ClassLoss.of(config, classes)

    def fit_targets(self, labels: Rows) -> None:
        self.objective.fit(labels)

    def forward(self, features: Tensor) -> Tensor:
        return self.maps(features)

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        logits = self.maps(features)
        self.require_size(logits, target)
        losses: Tensor = self.objective(logits, target)
        return losses
