"""The evaluator `calibration`."""

import pytest
import torch

from mtlkit_hello.calibration import calibration_error


def test_the_error_is_the_gap_between_confidence_and_accuracy():
    probability = torch.tensor([[0.8, 0.2]] * 10 + [[0.5, 0.5]])
    target = torch.tensor([0] * 6 + [1] * 4 + [-1])  # right in 6 of 10; the last has no label
    assert calibration_error(probability.log(), target, bins=5) == pytest.approx(0.2)
