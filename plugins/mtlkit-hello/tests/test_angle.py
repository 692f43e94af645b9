"""The target `angle`."""

import pytest
import torch

from mtlkit.plugins import DataError
from mtlkit_hello.angle import Angle


def test_an_angle_beyond_half_a_turn_is_refused():
    Angle().check(torch.tensor([-180.0, 180.0, torch.nan]))
    with pytest.raises(DataError, match="expected angles from -180 to 180, got 270"):
        Angle().check(torch.tensor([270.0]))
