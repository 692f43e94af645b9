"""The adapter `spread`."""

import torch

from mtlkit.backbones import MapFeatures
from mtlkit_hello.spread import Spread


def test_it_is_the_standard_deviation_of_the_pixels():
    module = Spread().build(MapFeatures(channels=3, stride=2))
    maps = torch.randn(2, 3, 4, 5)
    expected = maps.flatten(2).std(dim=2, correction=0)
    torch.testing.assert_close(module(maps, {}), expected)
