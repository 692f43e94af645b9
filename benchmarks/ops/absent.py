"""A GPU that is not here: which operators a call would start on one, and where it would wait.

Tensors lie on torch's meta device, which has shapes and no values, and whoever asks them for their
device hears of a GPU. Autograd runs as ever, and custom ops, whose fake results would be taken
instead, are run by their own functions. torch's fake tensors on "cuda" do not serve: going backward
through them its engine asks the driver for a context. Triton's kernels are counted, not run.

What a GPU would be waited for is an error, `WaitError`: a value or a size that is in its memory,
and a copy from or to the host, since that memory is not pinned. Of what waits inside torch's own
kernels it knows the operators listed here, by torch's sources, and no others.
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
from mtlkit.ops.triton import config
from mtlkit.ops.triton import linear as triton_linear

META = torch.device("meta")
GPU = torch.device("cuda", 99)
"""No machine has it, so that what is kept for a device is never taken for that of a real one."""
VALUES = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "masked_select", "nonzero",
    "repeat_interleave", "unique_consecutive", "unique_dim",
}  # fmt: skip
"""Operators whose result, or its size, must be known to the host."""

ON_DEVICE = {"_index_put_impl_", "_to_copy", "copy_", "index", "index_put", "index_put_", "where"}
"""Operators that copy even a single number to the device; others take it as an argument."""

FROM_HOST = {torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor}
"""Functions that make a tensor of numbers of the host."""

NO_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
NO_KERNEL |= {"_reshape_alias", "_unsafe_view", "alias", "detach", "lift_fresh", "resize_"}


class WaitError(RuntimeError):
    """The host would wait for the GPU; it says for what."""


class Absent(TorchDispatchMode):
    """Counts in `started` the operators that start kernels; raises `WaitError` for what waits.

    While it is `warming`, memory of the host may be copied: what is made once, and kept.
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
        if _is_composite(function):  # what consists of others need not be one kernel
            with self:
                return function.decompose(*args, **kwargs)
        short = name.partition("::")[2]
        self._refuse(short, args, kwargs)
        found = function(*args, **kwargs)
        on_gpu = any(each.is_meta for each in _tensors((args, found)))
        if on_gpu and not function.is_view and short not in NO_KERNEL:
            self.started[short] += 1
        return found

    def _refuse(self, name, args, kwargs):
        given, device = list(_tensors(args)), kwargs.get("device")
        here, there = ([t for t in given if t.is_meta is is_there] for is_there in (False, True))
        if there and (name in VALUES or device == torch.device("cpu")):
            raise WaitError(f"{name} needs values of the GPU")
        if there and name.startswith("index") and any(t.dtype == torch.bool for t in there[1:]):
            raise WaitError(f"{name} by a mask needs to know how many there are")
        if name == "_grouped_mm" and there[0].dtype != torch.bfloat16:
            raise WaitError("_grouped_mm fetches its offsets, but in bfloat16 from sm_90 on")
        if here and (there or device == META):
            self.copies(name, name in ON_DEVICE or any(each.dim() for each in here))

    def copies(self, name, some=True):
        """Note that the operator copies from the host, if it copies `some`."""
        if some and not self.warming:
            raise WaitError(f"{name} copies from the host")

    def launch(self, name, *arguments):
        """Count a kernel of ours, all of whose tensors must be on the GPU."""
        if not all(each.is_meta for each in _tensors(arguments)):
            raise AssertionError(f"the kernel {name} is given memory of the host")
        self.started[f"triton {name}"] += 1


class _Named(TorchFunctionMode):
    """The meta device is called a GPU, and the GPU is made of it."""

    def __init__(self, absent):
        super().__init__()
        self.absent = absent

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function == torch.Tensor.device.__get__:
            found = function(*args)
            return GPU if found == META else found
        if function == torch.Tensor.is_cuda.__get__:
            return args[0].is_meta
        kwargs = {key: _meant(value) for key, value in (kwargs or {}).items()}
        found = function(*map(_meant, args), **kwargs)
        if function in FROM_HOST and found.is_meta:
            self.absent.copies(function.__name__)
        return found


@cache
def _is_composite(function):
    return torch._C._dispatch_has_kernel_for_dispatch_key(
        function.name(), "CompositeImplicitAutograd"
    )


def _meant(value):
    return META if isinstance(value, torch.device) and value == GPU else value


def _tensors(values):
    for each in values:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, (list, tuple)):
            yield from _tensors(each)


class _Kernels(ModuleType):
    """Stands for the module of Triton's kernels, which is imported only to start them."""

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
    """Inside, tensors of the meta device are on a GPU; gives the `Absent` that counts."""
    absent = Absent()
    kernels = _Kernels(absent)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(sys.modules, {"mtlkit.ops.triton.kernels": kernels}))
        stack.enter_context(mock.patch.object(mtlkit.ops.triton, "kernels", kernels, create=True))
        stack.enter_context(mock.patch("torch.cuda.device", return_value=ExitStack()))
        stack.enter_context(mock.patch.object(triton_linear, "gpu_of", return_value=config.H100))
        # what is compiled is the definition
        stack.enter_context(mock.patch("mtlkit.ops.kernels.compiled.compiled", lambda run: run))
        stack.enter_context(absent.named)
        stack.enter_context(absent)
        yield absent


def backward(results, inputs):
    """The gradients of `inputs` from some of the `results`, by the engine itself.

    `torch.autograd.grad` would hand itself to the mode that names devices, which is off meanwhile.
    """
    return torch.autograd.graph._engine_run_backward(
        tuple(results), tuple(map(torch.empty_like, results)), False, False, tuple(inputs),
        allow_unreachable=True, accumulate_grad=False,
    )  # fmt: skip
