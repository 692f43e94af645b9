"""Whether Triton can serve a request, and what every start of a kernel needs.

Imported everywhere, it imports Triton only where a kernel is started.
"""

import importlib.util
from types import ModuleType

import torch
from torch import Tensor

from mtlkit.ops.dispatch.choice import interpreting
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.kernels.costs import refuses_forward_mode


def refuses(request: Request) -> str:
    """Why Triton cannot serve a request."""
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
    """The kernels, whose import needs Triton."""
    from mtlkit.ops.triton import kernels

    return kernels


def upcast(x: Tensor) -> bool:
    """Whether the operands of a product must be float32: the interpreter's bfloat16 is wrong."""
    interpreted: bool = kernels().INTERPRETED
    return interpreted and x.dtype == torch.bfloat16


def on_device_of(x: Tensor) -> torch.cuda.device:
    """Kernels are started on the device of `x`, whichever is current."""
    return torch.cuda.device(x.device if x.is_cuda else -1)
