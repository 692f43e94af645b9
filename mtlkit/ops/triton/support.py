"""Reasons why Triton cannot serve a request, and the setup of kernel launches.

The module imports Triton only when a kernel is launched.
"""

import importlib.util
from types import ModuleType

import torch
from torch import Tensor

from mtlkit.ops.dispatch.choice import interpreting
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.kernels.costs import refuses_forward_mode


def refuses(request: Request) -> str:
    """Return the reason why Triton cannot serve a request, or an empty string."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed; it comes with torch for CUDA"
    if torch.version.hip is not None:
        return "the kernels are cut for NVIDIA's GPUs and never ran on another"
    if request.device != "cuda" and not interpreting():
        return "Triton needs a GPU; on a CPU set TRITON_INTERPRET=1, which is for tests"
    if request.dtype == torch.float64:
        return "the kernels compute in float32"
    return refuses_forward_mode(request)


def kernels() -> ModuleType:
    """Return the module of kernels, whose import needs Triton."""
    from mtlkit.ops.triton import kernels

    return kernels


def upcast(x: Tensor) -> bool:
    """Return whether products need float32 operands: the interpreter's bfloat16 is wrong."""
    interpreted: bool = kernels().INTERPRETED
    return interpreted and x.dtype == torch.bfloat16


def on_device_of(x: Tensor) -> torch.cuda.device:
    """Return a context that starts kernels on the device of `x`."""
    return torch.cuda.device(x.device if x.is_cuda else -1)
