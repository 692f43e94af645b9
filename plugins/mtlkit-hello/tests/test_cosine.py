"""The head `cosine`."""

import pytest
import torch

from mtlkit.backbones import VectorFeatures
from mtlkit.data import ClassTarget
from mtlkit_hello.cosine import CosineClassifier


def test_logits_are_scaled_cosines():
    head = CosineClassifier(scale=2.0).build(VectorFeatures(width=3), ClassTarget(names=("a", "b")))
    features = torch.tensor([[1.0, 2.0, 2.0]])
    logits = head(features)[0].tolist()
    for logit, direction in zip(logits, head.directions, strict=True):
        cosine = (features[0] @ direction) / (3.0 * direction.norm())
        assert logit == pytest.approx(2.0 * cosine.item(), abs=1e-5)
