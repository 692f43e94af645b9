"""Stacks of 3x3 convolutions with batch normalization and ReLU, which keep the size of maps."""

from itertools import pairwise

from torch import nn


def conv_bn_relu(*channels: int) -> nn.Sequential:
    """Return 3x3 convolutions between consecutive `channels`, each with batch norm and ReLU.

    >>> len(conv_bn_relu(3, 8, 8))
    6
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        # the shift of the batch norm replaces the bias
        layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
