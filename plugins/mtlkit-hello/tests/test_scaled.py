"""The branch `scaled`."""

import torch

from mtlkit.backbones import MLP
from mtlkit.data import ClassTarget, InputSpec
from mtlkit.heads import Classification
from mtlkit.routers import Features, Wiring
from mtlkit_hello.scaled import Scaled


def test_a_group_reads_the_features_times_its_scales():
    inputs = InputSpec(shape=(3,))
    backbone = MLP(hidden=(4,)).build(inputs)
    sides = ClassTarget(names=("left", "right"))
    wiring = Wiring(
        backbone=backbone,
        inputs=inputs,
        new_backbone=lambda: MLP(hidden=(4,)).build(inputs),
        tasks=("pose",),
        new_head=lambda task, features: Classification().build(features, sides),
        classes={"pose": sides.classes},
    )
    branches = Scaled().build(wiring, "pose", groups=2)
    torch.nn.init.constant_(branches.scales[1], 2.0)
    x, target = torch.randn(3, 4), torch.tensor([0, 1, 1])
    losses = branches.losses(torch.tensor([0, 1, -1]), Features(x), target)
    assert torch.allclose(losses[0], branches.head.loss(x[:1], target[:1]))
    assert torch.allclose(losses[1], branches.head.loss(2 * x[1:2], target[1:2]))
    assert losses[2] == 0
