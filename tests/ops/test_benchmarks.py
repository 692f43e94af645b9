"""The benchmarks' cells at tiny sizes: a fault in one is to be found where there is no GPU."""

import sys
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode

from mtlkit.ops.catalog import OPS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "ops"))
import matrix

CELLS = list(matrix.gpu("cpu", torch.float32, shrink=64))


class DeviceNamed(TorchFunctionMode):
    """Whatever is created without naming a device lies on another one than the inputs."""

    CREATORS = (
        torch.arange, torch.empty, torch.eye, torch.full, torch.linspace, torch.ones, torch.rand,
        torch.randint, torch.randn, torch.randperm, torch.zeros,
    )  # fmt: skip

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        for each in (*args, *kwargs.values()):
            for one in each if isinstance(each, (list, tuple)) else (each,):
                # torch itself lets an index lie elsewhere, and takes a number from anywhere
                if isinstance(one, torch.Tensor) and one.is_meta and one.dim():
                    raise AssertionError(f"{function.__name__} of a tensor that is elsewhere")
        if function in self.CREATORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def test_what_names_no_device_is_found():
    weight, chosen = torch.zeros(5, 2), torch.rand(5, device="cpu")
    with DeviceNamed():
        assert weight[chosen.topk(2).indices].shape == (2, 2)
        with pytest.raises(AssertionError, match="elsewhere"):
            torch.rand(5).topk(2)


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_a_cell_of_the_gpu(number):
    """Each way runs, on the device of the inputs, and leaves its gradients."""
    with DeviceNamed():
        cell = CELLS[number]()
        assert cell.op in OPS
        assert cell.baseline in cell.ways
        for name, way in cell.ways.items():
            cell.clear()
            way()
            left = [leaf.grad is not None for leaf in cell.leaves]
            assert any(left) or not left or name == "three products", name
