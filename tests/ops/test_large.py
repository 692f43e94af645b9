"""More than 2^31 logits, none of them allocated: shapes, choices, costs, offsets of kernels."""

import ast
import inspect
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import mtlkit.ops
from mtlkit.ops import linear_cross_entropy, margin_cross_entropy
from mtlkit.ops.dispatch.choice import choose, explain
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops
from mtlkit.ops.kernels.chunked import chunked_negatives, chunked_negatives_backward
from mtlkit.ops.kernels.fused_grad import fused_grad_cross_entropy
from mtlkit.ops.kernels.saved_softmax import (
    saved_softmax_negatives,
    saved_softmax_negatives_backward,
)

OPS = builtin_ops()

ROWS, FEATURES, CLASSES = 4096, 64, 1_000_000


MANY_ROWS = (2**17, FEATURES, 2**15)
"""As many logits in few tiles of classes."""

WIDE = (2**15, 2**15, 2**17)
"""No more rows than features."""


def large(device=None, sizes=(ROWS, FEATURES, CLASSES)):
    rows, features, classes = sizes
    assert rows * classes > 2**31
    x = torch.empty(rows, features, device=device)
    weight = torch.empty(classes, features, device=device)
    target = torch.zeros(rows, dtype=torch.int64, device=device)
    return x, weight, torch.empty(classes, device=device), target


def body(op):
    """What an op does, beneath its registration."""
    return op.function


class TestEveryTileIsReached:
    """The bodies of the chunked ops, run on torch's meta device: every slice has its shape."""

    def check(self, op, *arguments):
        found = body(op)(*arguments)
        with FakeTensorMode(allow_non_fake_inputs=True):
            wanted = op(*arguments)
        for one, other in zip(found, wanted, strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
        return found

    @pytest.mark.parametrize("cosine", [False, True])
    def test_classes(self, cosine):
        x, weight, bias, target = large("meta", MANY_ROWS)
        bias = None if cosine else bias
        _, negative_lse = self.check(chunked_negatives, x, weight, bias, target, cosine)
        upstream, needs = torch.empty_like(negative_lse), [True, True, bias is not None]
        given = (x, weight, bias, target, cosine, negative_lse, upstream, upstream, needs)
        self.check(chunked_negatives_backward, *given)

    def test_stored(self):
        x, weight, bias, target = large("meta", MANY_ROWS)
        _, negative_lse, *kept = self.check(saved_softmax_negatives, x, weight, bias, target, False)
        assert max(each.numel() for each in kept) > 2**31
        upstream = torch.empty_like(negative_lse)
        given = (
            x,
            weight,
            bias,
            target,
            False,
            negative_lse,
            *kept,
            upstream,
            upstream,
            [True] * 3,
        )
        self.check(saved_softmax_negatives_backward, *given)

    def test_rows(self):
        x, weight, bias, target = large("meta", WIDE)
        one = torch.empty(len(x), device="meta")
        self.check(fused_grad_cross_entropy, x, weight, bias, target, one, one, [True] * 3)


@pytest.mark.parametrize("name", ["eager", "fused-grad", "saved-softmax", "chunked"])
def test_a_whole_call_has_its_shapes(name):
    with FakeTensorMode():
        x, weight, bias, target = (
            each.requires_grad_() if each.is_floating_point() else each for each in large()
        )
        loss = fake(linear_cross_entropy, x, weight, target, bias, implementation=name)
        assert loss.shape == ()
        found = torch.autograd.grad(loss, (x, weight, bias))
        assert [each.shape for each in found] == [x.shape, weight.shape, bias.shape]


@pytest.mark.parametrize("name", ["eager", "saved-softmax", "chunked"])
def test_a_whole_margin_has_its_shapes(name):
    with FakeTensorMode():
        x, weight, _, target = large()
        x.requires_grad_()
        weight.requires_grad_()
        loss = fake(margin_cross_entropy, x, weight, target, reduction="sum", implementation=name)
        found = torch.autograd.grad(loss, (x, weight))
        assert [each.shape for each in found] == [x.shape, weight.shape]


def fake(function, *arguments, **options):
    """The call as in a trace: labels, which a fake tensor has none of, are not looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mtlkit.ops.kernels.arguments.torch.compiler, "is_compiling", lambda: True)
        return function(*arguments, **options)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("op", ["linear_cross_entropy", "margin_cross_entropy"])
def test_costs_are_counted_beyond_32_bits(op, device):
    request = Request(2**17, 512, 2**22, device=device, reduction="none")
    for line in explain(OPS[op], request):
        assert line.seconds > 0
        assert line.peak >= 0
    eager = OPS[op].implementations["eager"].cost(request)
    assert eager.flops == 3 * 2.0 * 2**17 * 2**22 * 512
    assert eager.peak >= 2 * 4 * 2**39
    name = choose(OPS[op], request, None).name
    assert (
        OPS[op].implementations[name].cost(request).peak < eager.peak / 100
    )  # never one that keeps the matrix


# --- the kernels' offsets ------------------------------------------------------------------------

KERNELS = Path(inspect.getfile(mtlkit.ops)).parent / "triton" / "kernels.py"
SMALL = {
    "head * rows": "T heads of N rows: below 2^31 for fewer than 268 million rows of 8 heads",
    "start * rows": "`start` is loaded from a tensor of 64-bit numbers",
    "part * split": "a number of classes, of which there are fewer than 2^31",
    "(part + 1) * split": "a number of classes",
    "tl.program_id(0) * BLOCK_N": "a number of rows",
    "tl.program_id(1) * BLOCK_C": "a number of classes",
    "tl.program_id(1) * BLOCK": "a number of classes",
}
"""Products of whole numbers that stay below 2^31, and why."""


def narrow_products(tree):
    """Products of whole numbers in a kernel in which nothing has 64 bits."""
    for kernel in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        wide = {
            target.id
            for node in ast.walk(kernel)
            if isinstance(node, ast.Assign) and "tl.int64" in ast.unparse(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(kernel):
            for product in products_of_offsets(node):
                text = ast.unparse(product)
                names = {n.id for n in ast.walk(product) if isinstance(n, ast.Name)}
                if "tl.int64" not in text and not names & wide:
                    yield text


def products_of_offsets(node):
    """The products in what is added to a pointer, or in what becomes a row or a column."""
    places = []
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("tl.load", "tl.store"):
        places = [node.args[0]]
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in (
        "row",
        "column",
        "place",
    ):
        places = [node.value]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "range":
        places = node.args
    for place in places:
        for part in ast.walk(place):
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult):
                yield part


def test_offsets_of_rows_have_64_bits():
    found = set(narrow_products(ast.parse(KERNELS.read_text(encoding="utf-8"))))
    assert sorted(found - set(SMALL)) == []
    assert sorted(set(SMALL) - found) == []  # an excuse that nothing needs is taken out


def test_a_narrow_offset_is_noticed():
    kernel = "def k(z, classes):\n    row = tl.program_id(0)\n    {}\n"
    for line, narrow in (
        ("tl.load(z + row * classes)", ["row * classes"]),
        ("place = z + row[:, None] * classes", ["row[:, None] * classes"]),
        ("tl.store(z + row.to(tl.int64) * classes, 0.0)", []),
        ("row = row.to(tl.int64)\n    tl.load(z + row * classes)", []),
    ):
        assert list(narrow_products(ast.parse(kernel.format(line)))) == narrow
