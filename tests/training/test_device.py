"""Devices by name: what is chosen, and what is refused with the fix."""

from types import SimpleNamespace

import attrs
import pytest
import torch

from mtlkit.errors import RunError
from mtlkit.recipe import Train
from mtlkit.runs.storage.numerics import tensor_float_32
from mtlkit.training.devices import device as device_module
from mtlkit.training.devices.device import chosen_device


@pytest.fixture
def devices(monkeypatch):
    """Pretend that torch finds `count` devices of one kind."""

    def pretend(kind, count, *, launched=False, has_fp64=True):
        for module in (torch.cuda, torch.xpu, torch.mps):
            available = module is getattr(torch, kind) and count > 0
            monkeypatch.setattr(module, "is_available", lambda value=available: value)
        for module in (torch.cuda, torch.xpu):
            monkeypatch.setattr(module, "device_count", lambda: count)
            monkeypatch.setattr(module, "current_device", lambda: 0)
        properties = SimpleNamespace(has_fp64=has_fp64)
        monkeypatch.setattr(torch.xpu, "get_device_properties", lambda _: properties)
        monkeypatch.setattr(device_module.dist, "is_torchelastic_launched", lambda: launched)

    return pretend


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("cuda", "auto", "cuda:0"),
        ("cuda", "cuda", "cuda:0"),
        ("cuda", "cuda:1", "cuda:1"),
        ("xpu", "xpu:1", "xpu:1"),
        ("xpu", "xpu", "xpu:0"),
        ("mps", "mps", "mps"),
        ("xpu", "auto", "cpu"),
        ("mps", "cpu", "cpu"),
    ],
)
def test_a_device_is_chosen_by_its_name(kind, name, expected, devices):
    devices(kind, 2)
    assert chosen_device(name) == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "xpu", "mps"])
def test_what_is_not_there_is_refused(name, devices):
    devices("cuda", 0)
    label = {"cuda": "CUDA", "xpu": "XPU", "mps": "MPS"}[name.partition(":")[0]]
    expected = f"train.device: got '{name}', but torch finds no {label} device; use `device: cpu`"
    with pytest.raises(RunError) as caught:
        chosen_device(name)
    assert str(caught.value).startswith(expected)


def test_an_xpu_without_float64_is_refused(devices):
    devices("xpu", 1, has_fp64=False)
    with pytest.raises(RunError, match="got 'xpu', which has no float64"):
        chosen_device("xpu")


def test_a_number_is_one_of_the_machine_and_of_a_single_process(devices):
    devices("cuda", 2)
    with pytest.raises(RunError, match=r"torch finds 2 CUDA devices; expected cuda:0 to cuda:1"):
        chosen_device("cuda:2")
    devices("cuda", 2, launched=True)
    with pytest.raises(RunError, match=r"got 'cuda:1' for several processes, expected 'cuda'"):
        chosen_device("cuda:1")


@pytest.mark.parametrize("bad", ["gpu", "cuda:", "cuda:x", "mps:1", "", 0])
def test_other_names_are_refused(bad):
    with pytest.raises(ValueError, match=r"device: expected one of auto, cpu, cuda, xpu, or"):
        Train(device=bad)


def test_training_on_mps_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"got 'mps', which has no float64, .*; use cpu"):
        Train(device="mps")


@pytest.mark.parametrize(("allowed", "inside"), [(True, "high"), (False, "highest")])
def test_the_switch_of_tf32_holds_during_a_run(allowed, inside):
    before = torch.get_float32_matmul_precision()
    with tensor_float_32(allowed):
        assert torch.get_float32_matmul_precision() == inside
        assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.get_float32_matmul_precision() == before
    with tensor_float_32(None):
        assert torch.get_float32_matmul_precision() == before
    assert attrs.evolve(Train(), tf32=True).tf32 is True
