"""One class for each pixel."""

import attrs
import torch
from torch import Tensor

from mtlkit.targets.codes import ClassesTarget
from mtlkit.targets.colors import NO_LABEL, class_colors
from mtlkit.targets.decoded import Decoded
from mtlkit.targets.maps import MapTarget


@attrs.frozen(kw_only=True)
class ClassMapTarget(MapTarget, ClassesTarget):
    """One class for each pixel: codes (N, H, W) into `names`, -1 for a pixel without a label.

    The weight of a sample is its number of labeled pixels.
    """

    noun = "a class of each pixel"
    shape = "(N, H, W)"
    dims = 3
    default_head = "segmentation"
    class_dim = 1

    def picture(self, labels: Tensor, like: Tensor) -> Tensor:
        colors = class_colors(self.codes)[labels.clamp(min=0)]
        return torch.where((labels >= 0).unsqueeze(-1), colors, NO_LABEL)

    def decode(self, predictions: Tensor, mask: Tensor | None = None) -> Decoded:
        return Decoded(maps=predictions.argmax(dim=self.class_dim))
