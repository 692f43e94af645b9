"""A node is an operator where something looks on, and the function itself where nothing does."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mtlkit.ops.kernels.custom_op import CustomOp, custom_op

CALLS = []


@custom_op("test_scaled_sums")
def scaled_sums(parts: list[Tensor], offset: Tensor | None, scale: float) -> list[Tensor]:
    """The sum of each part times `scale`, and of all together."""
    CALLS.append("function")
    each = [scale * part.sum() for part in parts]
    return [*each, sum(each, torch.zeros(())) + (0 if offset is None else offset)]


@scaled_sums.register_fake
def _(parts: list[Tensor], offset: Tensor | None, scale: float) -> list[Tensor]:
    return [torch.empty(()) for _ in range(len(parts) + 1)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    parts, offset, ctx.scale = inputs
    ctx.offset = offset is not None
    assert len(output) == len(parts) + 1
    ctx.save_for_backward(*parts)


def _backward(ctx: Any, gradients: list[Tensor]) -> tuple[Any, ...]:
    whole = gradients[-1]
    of_parts = [
        torch.full_like(part, ctx.scale) * (own + whole)
        for part, own in zip(ctx.saved_tensors, gradients, strict=False)
    ]
    return of_parts, whole if ctx.offset else None, None


scaled_sums.register_autograd(_save, _backward)


@custom_op("test_doubled")
def doubled(x: Tensor) -> Tensor:
    """Twice x."""
    return 2 * x


@custom_op("test_doubled_backward")
def doubled_backward(upstream: Tensor) -> Tensor:
    """Twice what comes from above."""
    return 2 * upstream


doubled.register_fake(torch.empty_like)
doubled_backward.register_fake(torch.empty_like)
doubled.register_autograd(
    lambda ctx, inputs, output: None, lambda ctx, upstream: (doubled_backward(upstream),)
)


class Watch(TorchDispatchMode):
    """The operators that are called."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


def parts_and_offset():
    torch.manual_seed(0)
    return [torch.randn(3, requires_grad=True), torch.randn(2, requires_grad=True)], torch.ones(
        (), requires_grad=True
    )


def gradients_of(found, parts, offset):
    total = found[0] + 2 * found[1] + 3 * found[2]
    return torch.autograd.grad(total, [*parts, offset], retain_graph=True)


def test_both_ways_give_the_same():
    parts, offset = parts_and_offset()
    direct, by_op = scaled_sums(parts, offset, 0.5), scaled_sums.op(parts, offset, 0.5)
    assert isinstance(direct, tuple | list)
    for one, other in zip(direct, by_op, strict=True):
        assert torch.equal(one, other)
    wanted = [torch.full((3,), 2.0), torch.full((2,), 2.5), torch.tensor(3.0)]
    for found in (direct, by_op):
        for _ in range(2):  # a second pass finds the same
            for one, other in zip(gradients_of(found, parts, offset), wanted, strict=True):
                assert torch.equal(one, other)


def test_without_gradients_it_is_the_function():
    parts, offset = parts_and_offset()
    with torch.no_grad():
        assert not scaled_sums(parts, offset, 1.0)[0].requires_grad
    plain = [part.detach() for part in parts]
    assert not scaled_sums(plain, None, 1.0)[0].requires_grad
    assert scaled_sums(plain, offset, 1.0)[2].requires_grad


@pytest.mark.parametrize("call", [doubled, doubled.op])
def test_a_second_derivative_is_refused_not_answered_in_part(call):
    x = torch.ones(3, requires_grad=True)
    first = torch.autograd.grad(call(x).square().sum(), x, create_graph=True)[0]
    assert first.tolist() == [8.0, 8.0, 8.0]
    with pytest.raises(RuntimeError, match="test_doubled_backward"):
        torch.autograd.grad(first.sum(), x, allow_unused=True)


def test_whoever_looks_on_sees_an_operator():
    parts, offset = parts_and_offset()
    with Watch() as watch:
        scaled_sums(parts, offset, 1.0)
    assert "mtlkit.test_scaled_sums.default" in watch.seen

    class Own(Tensor):
        """A tensor that stands for another, as a distributed one does."""

    CALLS.clear()
    plain = [part.detach().as_subclass(Own) for part in parts]
    seen = []
    scaled_sums.op, kept = lambda *given: seen.append(len(given)), scaled_sums.op
    try:
        scaled_sums(plain, None, 1.0)
        torch.func.vmap(lambda x: scaled_sums([x], None, 1.0) or x)(torch.randn(2, 3))
    finally:
        scaled_sums.op = kept
    assert seen == [3, 3]
    assert CALLS == []


def test_a_graph_has_it_as_one_node():
    parts, offset = parts_and_offset()
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return graph.forward

    def total(first, second, offset):
        found = scaled_sums([first, second], offset, 0.5)
        return found[0] + 2 * found[1] + 3 * found[2]

    torch._dynamo.reset()
    torch.compile(total, backend=keep, fullgraph=True)(*parts, offset)
    assert any("test_scaled_sums" in str(n.target) for n in graphs[0].graph.nodes)


def test_it_says_what_its_function_does():
    assert scaled_sums.__doc__.startswith("The sum of each part")
    assert isinstance(scaled_sums, CustomOp)
    torch.library.opcheck(
        scaled_sums.op, ([torch.ones(2), torch.ones(3)], torch.ones(()), 2.0),
        test_utils=("test_schema", "test_faketensor"),
    )  # fmt: skip
