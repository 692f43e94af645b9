"""Atrous spatial pyramid pooling of DeepLab.

Paper: Liang-Chieh Chen, George Papandreou, Florian Schroff and Hartwig Adam, "Rethinking Atrous
Convolution for Semantic Image Segmentation", arXiv:1706.05587, 2017.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ASPP(nn.Module):
    """Parallel convolutions with different dilations and the image's mean, projected (section 3.3).

    The image's mean is not normalized by batch norm, because a single value for each channel has
    no statistics in a batch of one.

    >>> ASPP(8, 4, (2, 4))(torch.zeros(1, 8, 6, 6)).shape
    torch.Size([1, 4, 6, 6])
    """

    def __init__(self, channels: int, width: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_normalized(nn.Conv2d(channels, width, 1, bias=False))])
        for d in dilations:
            convolution = nn.Conv2d(channels, width, 3, padding=d, dilation=d, bias=False)
            self.branches.append(_normalized(convolution))
        self.pooled = nn.Sequential(nn.Conv2d(channels, width, 1), nn.ReLU())
        self.project = _normalized(nn.Conv2d(width * (len(dilations) + 2), width, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        mean = self.pooled(features.mean(dim=(2, 3), keepdim=True))
        parts = [branch(features) for branch in self.branches]
        size = features.shape[-2:]
        joined: Tensor = self.project(torch.cat([*parts, mean.expand(-1, -1, *size)], dim=1))
        return F.dropout(joined, 0.1, self.training)


def _normalized(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())
