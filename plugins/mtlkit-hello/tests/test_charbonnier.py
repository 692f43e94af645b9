"""The head `charbonnier`."""

import pytest
import torch

from mtlkit.backbones import MapFeatures
from mtlkit.data import RealMapTarget
from mtlkit_hello.charbonnier import Charbonnier


def test_the_loss_is_the_mean_over_the_present_pixels():
    features = MapFeatures(channels=2, stride=4)
    head = Charbonnier(epsilon=3.0).build(features, RealMapTarget())
    torch.nn.init.zeros_(head.layer.weight)
    torch.nn.init.zeros_(head.layer.bias)
    labels = torch.full((1, 1, 8, 8), torch.nan)
    labels[0, 0, 0, :2] = torch.tensor([4.0, 0.0])  # sqrt(16 + 9) - 3 = 2, and 0
    assert head(torch.ones(1, 2, 2, 2)).shape == labels.shape
    assert head.loss(torch.ones(1, 2, 2, 2), labels).item() == pytest.approx(1.0)
