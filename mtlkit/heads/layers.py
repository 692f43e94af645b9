"""The layers of heads: a linear output on the features, or on hidden layers."""

import itertools
from typing import TypeVar

from torch import nn

from mtlkit.component import at_least, each

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

sizes = each(at_least(1))
"""The validator of the widths of hidden layers: whole numbers of at least 1."""


def output_layers(features: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Return fully connected layers (N, `features`) -> (N, `outputs`) with ReLU between them.

    The last layer is initialized from N(0, 0.01), its biases with 0.

    >>> [type(layer).__name__ for layer in output_layers(8, (4,), 2)]
    ['Linear', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    for given, width in itertools.pairwise((features, *hidden)):
        layers += [nn.Linear(given, width), nn.ReLU()]
    return nn.Sequential(*layers, small(nn.Linear((features, *hidden)[-1], outputs)))


def map_layers(channels: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Return 1x1 convolutions (N, `channels`, H, W) -> (N, `outputs`, H, W) with ReLU between them.

    The last layer is initialized from N(0, 0.01), its biases with 0.
    """
    layers: list[nn.Module] = []
    for given, width in itertools.pairwise((channels, *hidden)):
        layers += [nn.Conv2d(given, width, 1), nn.ReLU()]
    return nn.Sequential(*layers, small(nn.Conv2d((channels, *hidden)[-1], outputs, 1)))


def small(layer: Layer) -> Layer:
    """Initialize the weights of a layer from N(0, 0.01) and its biases with 0; return it."""
    nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
