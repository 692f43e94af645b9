"""The memory that the cost model expects is no less than what is allocated, and twice at most.

It is counted by torch's profiler. A choice needs the order of magnitude: what fits, and what not.
"""

from unittest import mock

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import mtlkit.ops.triton
from mtlkit.ops import linear_cross_entropy, margin_cross_entropy
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops

OPS = builtin_ops()

CALLS = {"linear_cross_entropy": linear_cross_entropy, "margin_cross_entropy": margin_cross_entropy}


class NoKernels:
    """Stands for the Triton kernels, which allocate nothing."""

    INTERPRETED = False

    def __getattr__(self, name):
        return mock.MagicMock(__getitem__=lambda self, grid: lambda *args, **kwargs: None)


def allocated(call):
    """The most bytes that a call holds at once, beyond what was there."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("rows", "features"), [(64, 128), (512, 64)])
@pytest.mark.parametrize(
    ("op", "name"),
    [(op, name) for op in CALLS for name in ("saved-softmax", "chunked", "triton", "triton-saved")]
    + [("linear_cross_entropy", "fused-grad")],
)
def test_the_memory_expected_is_that_allocated(op, name, rows, features, dtype, monkeypatch):
    classes, reduction = 20_000, "mean" if name == "fused-grad" else "none"
    x = torch.randn(rows, features).to(dtype).requires_grad_()
    weight = torch.randn(classes, features).to(dtype).requires_grad_()
    target = torch.randint(classes, (rows,))

    def call():
        loss = CALLS[op](x, weight, target, reduction=reduction, implementation=name)
        torch.autograd.grad(loss.sum(), (x, weight))

    monkeypatch.setenv("TRITON_INTERPRET", "1")
    # on a CPU with AMX, oneDNN packs bfloat16 operands into buffers that are not the op's
    no_packing = torch.backends.mkldnn.flags(enabled=False)
    with no_packing, mock.patch.object(mtlkit.ops.triton, "kernels", NoKernels(), create=True):
        found = allocated(call) - x.nbytes - weight.nbytes
    request = Request(rows, features, classes, dtype, reduction=reduction)
    expected = OPS[op].implementations[name].cost(request).peak
    assert 0.45 * expected < found < 1.1 * expected
