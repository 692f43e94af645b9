"""The transform `shift`."""

import torch

from mtlkit.data import ClassMapTarget, Draw, Sample
from mtlkit_hello.shift import Shift


def test_labels_move_with_the_image():
    codes = torch.arange(64).reshape(8, 8)
    target = ClassMapTarget(names=tuple(map(str, range(64))))
    sample = Sample(codes.unsqueeze(0).to(torch.uint8) + 1, {"parts": codes}, {"parts": target})
    for seed in range(5):
        moved = Shift(pixels=2).apply(sample, Draw(seed))
        assert torch.equal(moved.inputs[0].int() - 1, moved.labels["parts"].int())
