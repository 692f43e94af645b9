"""The backbone `small-conv`."""

import pytest
import torch

from mtlkit.data import InputSpec
from mtlkit.plugins import AssemblyError
from mtlkit_hello.small_conv import SmallConv


def test_it_has_twice_its_channels():
    backbone = SmallConv(channels=3).build(InputSpec(shape=(1, 16, 16)))
    assert backbone(torch.zeros(2, 1, 16, 16)).shape == (2, 6)


def test_a_table_is_refused():
    with pytest.raises(AssemblyError, match="small-conv expects images"):
        SmallConv().build(InputSpec(shape=(10,)))
