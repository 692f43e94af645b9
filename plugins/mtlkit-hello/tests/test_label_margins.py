"""The head `label-margins`."""

import torch

from mtlkit.backbones import VectorFeatures
from mtlkit.data import MultiLabelTarget
from mtlkit_hello.label_margins import LabelMargins


def test_the_loss_is_the_mean_over_the_present_labels():
    target = MultiLabelTarget(names=("warm", "bright", "round"))
    head = LabelMargins(margin=2.0).build(VectorFeatures(width=3), target)
    with torch.no_grad():
        head.layer.weight.copy_(torch.eye(3))
        head.layer.bias.zero_()
    scores = torch.tensor([[1.0, 1.0, 9.0]])  # 1 short of the margin, 3 beyond it, not labeled
    assert head.loss(scores, torch.tensor([[1, 0, -1]])).tolist() == [2.0]
