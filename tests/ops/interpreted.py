"""The Triton kernels against the definitions; `test_triton.py` runs this in a process of its own.

On a machine without a GPU they run in Triton's interpreter, which must be on before the kernels are
imported, and is slow: sizes are small, odd, and yet beyond one block.
"""

import pytest
import torch
from torch import nn

from mtlkit.ops import linear_cross_entropy, margin_cross_entropy, multi_head_cross_entropy
from mtlkit.ops.catalog import OPS
from mtlkit.ops.choice import choose
from mtlkit.ops.implementation import Request
from mtlkit.ops.triton_heads import small_heads
from mtlkit.ops.triton_linear import rivals_by_triton, rivals_of_logits

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAMES = ["triton-logits", "triton"]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def inputs(rows=9, features=35, classes=150, dtype=torch.float32):
    torch.manual_seed(rows + classes)
    x = torch.randn(rows, features, device=DEVICE).to(dtype).requires_grad_()
    weight = torch.randn(classes, features, device=DEVICE).to(dtype).requires_grad_()
    bias = torch.randn(classes, device=DEVICE).to(dtype).requires_grad_()
    target = torch.randint(classes, (rows,), device=DEVICE)
    target[::4] = -100
    return x, weight, target, bias


def linear(name, x, weight, target, bias, **kwargs):
    return linear_cross_entropy(x, weight, target, bias, implementation=name, **kwargs)


def margin(name, x, weight, target, bias, **kwargs):
    return margin_cross_entropy(x, weight, target, implementation=name, **kwargs)


def copies(tensors, kind):
    return [
        each if each.dtype == torch.int64 else each.detach().to(kind).requires_grad_()
        for each in tensors
    ]


def differentiated(loss, upstream, tensors):
    wanted = [each for each in tensors if each.requires_grad]
    found = torch.autograd.grad(
        (loss * upstream).sum(), wanted, retain_graph=True, allow_unused=True
    )
    return [each for each in found if each is not None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_errors_are_at_most_twice_those_of_eager(name, op, dtype, no_worse_than_eager):
    low = inputs(dtype=dtype)
    upstream = torch.rand(9, device=DEVICE)

    def all_of(kind, implementation):
        own = copies(low, kind)
        loss = op(implementation, *own, reduction="none")
        assert loss.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        first = differentiated(loss, upstream, own)
        again = differentiated(loss, upstream, own)  # a second pass finds the same
        assert all(map(torch.equal, first, again))
        return loss, *first

    no_worse_than_eager(
        dtype, all_of(dtype, name), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_last_backward_pass_gives_the_same(name):
    """It works in the memory of the logits, which an earlier pass must not."""
    x, weight, target, bias = inputs()
    loss = linear(name, x, weight, target, bias)
    kept = torch.autograd.grad(loss, (x, weight, bias), retain_graph=True)
    last = torch.autograd.grad(loss, (x, weight, bias))
    assert all(map(torch.equal, kept, last))


@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (3, 2), (0, 5), (70, 17), (2, 131)])
@pytest.mark.parametrize("name", NAMES)
def test_odd_sizes(name, rows, classes):
    x, weight, target, bias = inputs(rows, 5, classes)
    found, wanted = (linear(n, x, weight, target, bias, reduction="sum") for n in (name, "eager"))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(each, (x, weight, bias)) for each in (found, wanted))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_classes_that_cannot_be(name):
    x, weight, _, bias = inputs(4, 5, 140)
    closed = bias.detach().clone()
    closed[:130] = -torch.inf  # more than a block
    target = torch.tensor([131, 132, 139, 131], device=DEVICE)
    found, wanted = (linear(n, x, weight, target, closed) for n in (name, "eager"))
    torch.testing.assert_close(found, wanted)
    gradient = torch.autograd.grad(found, weight)[0]
    assert (gradient[:130] == 0).all()
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, weight)[0])


@pytest.mark.parametrize("name", NAMES)
def test_labels_anywhere_in_memory_and_strided_features(name):
    x, weight, target, bias = inputs(8)
    labels = torch.stack([target, target + 1], dim=1)[:, 0]
    wide = torch.stack([x.detach(), x.detach()], dim=2)[:, :, 0]
    torch.testing.assert_close(
        linear(name, wide, weight, labels, bias), linear("eager", x, weight, target, bias)
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_traced(name):
    torch._dynamo.reset()
    traced = torch.compile(linear, backend="aot_eager", fullgraph=True)
    given = inputs(5)
    found, wanted = traced(name, *given), linear("eager", *given)
    torch.testing.assert_close(found, wanted)
    inner = (given[0], given[1], given[3])
    torch.testing.assert_close(
        torch.autograd.grad(found, inner), torch.autograd.grad(wanted, inner), atol=1e-5, rtol=1e-4
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck reads it from its own copies
def test_opcheck():
    x, weight, target, bias = inputs(3, 5, 12)
    target = target.clamp_min(0)
    # the logits that are kept become their gradients, and opcheck compares them afterwards;
    # that a traced graph gives the same is tested above
    all_but_one = ("test_schema", "test_autograd_registration", "test_faketensor")
    for given in ((x, weight, bias, target, False), (x, weight, None, target, True)):
        torch.library.opcheck(rivals_by_triton, given)
        torch.library.opcheck(rivals_of_logits, given, test_utils=all_but_one)
    heads = [weight[:5].detach().requires_grad_(), weight[5:].detach().requires_grad_()]
    offsets = [bias[:5].detach().requires_grad_(), bias[5:].detach().requires_grad_()]
    torch.library.opcheck(small_heads, (x, heads, offsets, target[None] % 5, 0.1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_small_heads_and_the_gate(dtype, smoothing, no_worse_than_eager):
    torch.manual_seed(0)
    sizes = (13, 7, 1, 20)
    x = torch.randn(21, 37, device=DEVICE).to(dtype)
    parts = [torch.randn(size, 37, device=DEVICE).to(dtype) for size in (*sizes, 3)]
    offsets = [torch.randn(size, device=DEVICE).to(dtype) for size in (*sizes, 3)]
    targets = [torch.randint(size, (21,), device=DEVICE) for size in sizes]
    targets[0][::2] = -100
    targets[3][:] = -100
    up = torch.rand(4, 21, device=DEVICE)

    def all_of(kind, name):
        own = copies([x, *parts, *offsets], kind)
        weights, biases = own[1:6], own[6:]
        found = multi_head_cross_entropy(
            own[0], weights[:4], targets, biases[:4], gate=(weights[4], biases[4]),
            reduction="none", label_smoothing=smoothing, feature_gradients=True,
            implementation=name,
        )  # fmt: skip
        total = (found.losses * up).sum() + (found.gate * up[:3].T).sum()
        each = torch.autograd.grad(total, own)
        return found.losses, found.gate, found.feature_gradients, *each

    no_worse_than_eager(
        dtype, all_of(dtype, "triton"), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


@pytest.mark.skipif(DEVICE == "cuda", reason="on a GPU they are fast")
def test_the_interpreter_is_never_chosen_for_its_speed():
    for op in OPS.values():
        assert "triton" not in choose(op, Request(512, 512, 200, reduction="none"), None).name


def test_a_head_trains():
    head = nn.Linear(6, 4, device=DEVICE)
    x, target = torch.randn(16, 6, device=DEVICE), torch.randint(4, (16,), device=DEVICE)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = linear("triton", x, head.weight, target, head.bias)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
