"""Simulation of an absent GPU: the operators that a call would start on one, and its syncs.

Tensors are on torch's meta device, which has shapes and no values, and their device reads as a GPU.
Autograd runs as usual, and custom ops run their functions instead of returning fake results.
torch's fake tensors on "cuda" do not work: their backward pass requests a context from the driver.
Triton's kernels are counted, not run.

A sync with the GPU is an error, `WaitError`: for a value or a size in its memory, and for a copy
from or to the host, since that memory is not pinned. Of the syncs inside torch's kernels only those
of the operators listed in this file are detected, by torch's sources.
"""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import cache
from types import ModuleType
from unittest import mock

import torch
from torch._library.custom_ops import OPDEFS
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import mtlkit.ops.triton
from mtlkit.ops.kernels import triton_config
from mtlkit.ops.triton import linear as triton_linear

META = torch.device("meta")
GPU = torch.device("cuda", 99)
"""Index that no machine has, so that caches by device never mix with those of a real one."""
VALUES = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "masked_select", "nonzero",
    "repeat_interleave", "unique_consecutive", "unique_dim",
}  # fmt: skip
"""Operators whose result, or its size, the host must read."""

ON_DEVICE = {"_index_put_impl_", "_to_copy", "copy_", "index", "index_put", "index_put_", "where"}
"""Operators that copy even a single number to the device; others take it as an argument."""

FROM_HOST = {torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor}
"""Functions that create a tensor from numbers on the host."""

NO_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
NO_KERNEL |= {"_reshape_alias", "_unsafe_view", "alias", "detach", "lift_fresh", "resize_"}


class WaitError(RuntimeError):
    """Raised if the host would wait for the GPU; the message names the cause."""


class Absent(TorchDispatchMode):
    """Count in `started` the operators that start kernels; raise `WaitError` for syncs.

    While `warming` is true, memory of the host may be copied, for values that are cached.
    """

    def __init__(self):
        super().__init__()
        self.started = Counter()
        self.warming = False
        self.named = _Named(self)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), function._schema.name
        if name in OPDEFS:
            with self.named, self:
                return OPDEFS[name]._init_fn(*args, **kwargs)
        if _is_composite(function):  # composite operators may start several kernels
            with self:
                return function.decompose(*args, **kwargs)
        short = name.partition("::")[2]
        self._refuse(short, args, kwargs)
        result = function(*args, **kwargs)
        on_gpu = any(tensor.is_meta for tensor in _tensors((args, result)))
        if on_gpu and not function.is_view and short not in NO_KERNEL:
            self.started[short] += 1
        return result

    def _refuse(self, name, args, kwargs):
        given, device = list(_tensors(args)), kwargs.get("device")
        on_host, on_gpu = ([t for t in given if t.is_meta is is_meta] for is_meta in (False, True))
        if on_gpu and (name in VALUES or device == torch.device("cpu")):
            raise WaitError(f"{name} needs values of the GPU")
        if on_gpu and name.startswith("index") and any(t.dtype == torch.bool for t in on_gpu[1:]):
            raise WaitError(f"{name} by a mask needs their number")
        if name == "_grouped_mm" and on_gpu[0].dtype != torch.bfloat16:
            raise WaitError("_grouped_mm fetches its offsets, but in bfloat16 from sm_90 on")
        if on_host and (on_gpu or device == META):
            self.copies(name, name in ON_DEVICE or any(tensor.dim() for tensor in on_host))

    def copies(self, name, some=True):
        """Raise `WaitError` for an operator that copies from the host, if it copies `some`."""
        if some and not self.warming:
            raise WaitError(f"{name} copies from the host")

    def launch(self, name, *arguments):
        """Count a Triton kernel, all of whose tensors must be on the GPU."""
        if not all(tensor.is_meta for tensor in _tensors(arguments)):
            raise AssertionError(f"the kernel {name} is given memory of the host")
        self.started[f"triton {name}"] += 1


class _Named(TorchFunctionMode):
    """Present the meta device as a GPU, and create tensors for the GPU on it."""

    def __init__(self, absent):
        super().__init__()
        self.absent = absent

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function == torch.Tensor.device.__get__:
            result = function(*args)
            return GPU if result == META else result
        if function == torch.Tensor.is_cuda.__get__:
            return args[0].is_meta
        kwargs = {key: _meant(value) for key, value in (kwargs or {}).items()}
        result = function(*map(_meant, args), **kwargs)
        if function in FROM_HOST and result.is_meta:
            self.absent.copies(function.__name__)
        return result


@cache
def _is_composite(function):
    return torch._C._dispatch_has_kernel_for_dispatch_key(
        function.name(), "CompositeImplicitAutograd"
    )


def _meant(value):
    return META if isinstance(value, torch.device) and value == GPU else value


def _tensors(values):
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


class _Kernels(ModuleType):
    """Replacement of the module of Triton kernels, which is imported only to start them."""

    INTERPRETED = False

    def __init__(self, absent):
        super().__init__("mtlkit.ops.triton.kernels")
        self.absent = absent

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Kernel(self.absent, name)


class _Kernel:
    def __init__(self, absent, name):
        self.absent, self.name = absent, name

    def __getitem__(self, grid):
        return lambda *arguments, **_: self.absent.launch(self.name, *arguments)


@contextmanager
def absent_gpu():
    """Treat tensors of the meta device as on a GPU inside; yield the counting `Absent`."""
    absent = Absent()
    kernels = _Kernels(absent)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(sys.modules, {"mtlkit.ops.triton.kernels": kernels}))
        stack.enter_context(mock.patch.object(mtlkit.ops.triton, "kernels", kernels, create=True))
        stack.enter_context(mock.patch("torch.cuda.device", return_value=ExitStack()))
        stack.enter_context(
            mock.patch.object(triton_linear, "gpu_of", return_value=triton_config.H100)
        )
        # the compiled function is the definition
        stack.enter_context(mock.patch("mtlkit.ops.kernels.compiled.compiled", lambda run: run))
        stack.enter_context(absent.named)
        stack.enter_context(absent)
        yield absent


def backward(results, inputs):
    """Return the gradients of `inputs` from some of the `results`, by the engine directly.

    `torch.autograd.grad` would dispatch to the mode that renames devices, and disable it.
    """
    return torch.autograd.graph._engine_run_backward(
        tuple(results), tuple(map(torch.empty_like, results)), False, False, tuple(inputs),
        allow_unreachable=True, accumulate_grad=False,
    )  # fmt: skip
