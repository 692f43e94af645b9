"""Copies of the sets for tests that damage them, and a model with simple scores."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from mtlkit.assembly import Assembly
from mtlkit.data import InputSpec
from mtlkit.model import Outputs


@pytest.fixture
def sets(built, tmp_path) -> Path:
    """A copy of all sets that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "sets"))


class PixelModel(nn.Module):
    """Returns a picture's pixels, so that templates and scores have simple formulas."""

    tasks = ("identity", "pose")

    def __init__(self, shape=(1, 8, 8)):
        super().__init__()
        spec = InputSpec(shape=shape, mean=(127.5,), std=(128.0,))
        self.assembly = Assembly(inputs=spec, targets={})
        self.one = nn.Parameter(torch.ones(()))
        self.batches = []

    def forward(self, images, targets=None):
        self.batches.append(len(images))
        pixels = images.float().flatten(1)
        logits = self.one * (pixels - pixels.mean(dim=1, keepdim=True))
        return Outputs(logits, {"identity": logits}, {})


@pytest.fixture
def model():
    return PixelModel()
