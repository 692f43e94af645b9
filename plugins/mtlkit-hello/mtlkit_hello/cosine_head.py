"""The network and the loss of the head `cosine`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.heads import HeadModule
from mtlkit.plugins import MISSING
from mtlkit_hello.cosine import Cosine


class CosineHead(HeadModule):
    """Logits s * cos(x, w_c) (N, C), and their cross-entropy."""

    def __init__(self, config: Cosine, features: int, classes: int) -> None:
        super().__init__()
        self.scale = config.scale
        self.directions = nn.Parameter(torch.randn(classes, features))

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(features), F.normalize(self.directions))

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        # in float32 whatever the precision, one loss for each sample, 0 where the target is missing
        logits = self(features).float()
        return F.cross_entropy(logits, target, ignore_index=MISSING, reduction="none")

    def present(self, target: Tensor) -> Tensor:
        return target != MISSING
