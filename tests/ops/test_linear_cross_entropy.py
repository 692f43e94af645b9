"""Every implementation of linear_cross_entropy is the formula, in value, gradients and errors."""

import math
import warnings

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from mtlkit.errors import ImplementationError
from mtlkit.ops import linear_cross_entropy
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY

ON_CPU = [
    name
    for name, each in LINEAR_CROSS_ENTROPY.implementations.items()
    if name != "compiled" and not each.refuses(Request(4, 4, 4))
]
FUSED = [name for name in ON_CPU if name not in ("eager", "native")]
REDUCTIONS = ("none", "sum", "mean")
OPTIONS = {
    "plain": {},
    "smooth": {"label_smoothing": 0.2},
    "weighted": {"class_weight": True},
    "smooth weighted scaled": {"label_smoothing": 0.1, "class_weight": True, "logit_scale": 2.5},
    "empty zero": {"empty": "zero"},
}


def able(name, dtype=torch.float64, reduction="mean", options=()):
    request = Request(4, 4, 4, dtype, reduction=reduction, options=tuple(options))
    return not LINEAR_CROSS_ENTROPY.implementations[name].refuses(request)


ABLE = [
    (name, reduction)
    for name in ON_CPU
    for reduction in REDUCTIONS
    if able(name, reduction=reduction)
]


def inputs(rows=7, features=5, classes=9, dtype=torch.float64, ignored=True, bias=True):
    generator = torch.Generator().manual_seed(rows * 1000 + classes)
    x = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    weight = torch.randn(classes, features, generator=generator, dtype=torch.float64)
    offset = torch.randn(classes, generator=generator, dtype=torch.float64)
    target = torch.randint(classes, (rows,), generator=generator)
    if ignored:
        target[::3] = -100
    floats = [each.to(dtype).requires_grad_() for each in (x, weight, offset)]
    return floats[0], floats[1], target, floats[2] if bias else None


def formula(x, weight, target, bias, *, class_weight=None, label_smoothing=0.0, logit_scale=1.0,
            reduction="mean", empty="nan"):  # fmt: skip
    """The written definition, row by row and class by class."""
    z = logit_scale * (x @ weight.T + (0 if bias is None else bias))
    valid = target != -100
    known = target.where(valid, 0)
    w = torch.ones(len(weight), dtype=z.dtype) if class_weight is None else class_weight
    lse = torch.log(z.exp().sum(dim=1))
    own = w[known] * (lse - z.gather(1, known[:, None]).squeeze(1))
    spread = (w * (lse[:, None] - z)).sum(dim=1) / len(weight)
    each = (1 - label_smoothing) * own + label_smoothing * spread if label_smoothing else own
    losses = torch.where(valid, each, 0.0)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    divisor = torch.where(valid, w[known], 0.0).sum()
    return losses.sum() / (divisor.clamp_min(1e-300) if empty == "zero" else divisor)


def arguments(options, classes=9):
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(classes, generator=generator, dtype=torch.float64) + 0.1
    return {**options, **({"class_weight": weights} if "class_weight" in options else {})}


def gradients(loss, upstream, tensors, **kwargs):
    return torch.autograd.grad((loss * upstream).sum(), [t for t in tensors if t is not None],
                               **kwargs)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reduction", "options"),
    [
        pytest.param(name, reduction, given, id=f"{name} {reduction} {told}")
        for name in ON_CPU
        for reduction in REDUCTIONS
        for told, given in OPTIONS.items()
        if able(name, reduction=reduction, options=given)
    ],
)
def test_it_is_the_formula(name, reduction, options):
    for rows, classes in ((7, 9), (5, 1100), (300, 4), (1, 1)):  # tiles, parts of rows, no negative
        x, weight, target, bias = inputs(rows, 5, classes, ignored=rows > 1)
        kwargs = {**arguments(options, classes), "reduction": reduction}
        wanted = formula(x, weight, target, bias, **kwargs)
        found = linear_cross_entropy(x, weight, target, bias, implementation=name, **kwargs)
        torch.testing.assert_close(found, wanted)
        upstream = torch.rand_like(wanted)
        torch.testing.assert_close(
            gradients(found, upstream, (x, weight, bias)),
            gradients(wanted, upstream, (x, weight, bias)),
        )


@pytest.mark.parametrize(("name", "reduction"), ABLE)
def test_gradcheck(name, reduction):
    x, weight, target, bias = inputs(rows=5, features=3, classes=4)

    def call(x, weight, bias):
        return linear_cross_entropy(
            x, weight, target, bias, reduction=reduction, implementation=name
        )

    assert gradcheck(call, (x, weight, bias))


def test_only_the_definition_has_second_derivatives():
    x, weight, target, bias = inputs(rows=3, features=2, classes=3)

    def call(name):
        return lambda *args: linear_cross_entropy(
            args[0], args[1], target, args[2], reduction="sum", implementation=name
        )

    assert gradgradcheck(call("eager"), (x, weight, bias))
    for name in ON_CPU[1:]:
        first = gradients(call(name)(x, weight, bias), torch.ones(()), (x,), create_graph=True)[0]
        with pytest.raises(RuntimeError):
            first.sum().backward()


@pytest.mark.parametrize(
    ("name", "reduction", "dtype"),
    [
        (name, reduction, dtype)
        for name in ON_CPU[1:]
        for reduction in REDUCTIONS
        for dtype in (torch.float32, torch.bfloat16, torch.float16)
        if able(name, dtype, reduction)
    ],
)
def test_errors_are_at_most_twice_those_of_eager(name, reduction, dtype, no_worse_than_eager):
    low = inputs(96, 32, 1500, dtype)
    upstream = torch.rand(96 if reduction == "none" else ())

    def all_of(kind, implementation):
        x, weight, target, bias = (
            each if each.dtype == torch.int64 else each.detach().to(kind).requires_grad_()
            for each in low
        )
        loss = linear_cross_entropy(
            x, weight, target, bias, reduction=reduction, implementation=implementation
        )
        assert loss.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        return loss, *gradients(loss, upstream.to(loss.dtype), (x, weight, bias))

    no_worse_than_eager(
        dtype, all_of(dtype, name), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in ON_CPU[1:]
        for dtype in (torch.bfloat16, torch.float16)
        if able(name, dtype)
    ],
)
def test_long_sums_over_a_class_do_not_stand_still(name, dtype, no_worse_than_eager):
    """Thousands of rows of one class: added one by one in 8 or 11 bits they would stop to count."""
    torch.manual_seed(0)
    x, weight, bias = torch.rand(4096, 32), torch.randn(4, 32) / 10, torch.randn(4)
    low = [each.to(dtype) for each in (x, weight, bias)]
    target = torch.randint(4, (4096,))

    def all_of(kind, implementation):
        given = [each.to(kind).requires_grad_() for each in low]
        loss = linear_cross_entropy(
            given[0], given[1], target, given[2], implementation=implementation
        )
        return loss, *gradients(loss, torch.ones_like(loss), tuple(given))

    no_worse_than_eager(
        dtype, all_of(dtype, name), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


@pytest.mark.parametrize("name", FUSED)
def test_a_sure_net_has_an_exact_loss(name):
    """softplus(negatives - target) keeps its digits where log-sum-exp less the logit loses them."""
    weight = torch.eye(3) * 30
    x = torch.eye(3)
    loss = linear_cross_entropy(x, weight, torch.arange(3), reduction="sum", implementation=name)
    assert loss.item() == pytest.approx(3 * math.log1p(2 * math.exp(-30)), rel=1e-5)


@pytest.mark.parametrize(("name", "reduction"), ABLE)
def test_two_backward_passes_agree(name, reduction):
    x, weight, target, bias = inputs()
    loss = linear_cross_entropy(x, weight, target, bias, reduction=reduction, implementation=name)
    upstream = torch.rand_like(loss)
    first = gradients(loss, upstream, (x, weight, bias), retain_graph=True)
    kept = [each.clone() for each in first]
    for each in first:
        each.mul_(7)  # what a caller does with its gradients changes nothing
    second = gradients(loss, upstream, (x, weight, bias))
    assert all(torch.equal(one, other) for one, other in zip(kept, second, strict=True))


@pytest.mark.parametrize("name", ON_CPU)
def test_gradients_one_input_at_a_time(name):
    x, weight, target, bias = inputs()
    loss = linear_cross_entropy(x, weight, target, bias, implementation=name)
    together = torch.autograd.grad(loss, (x, weight, bias), retain_graph=True)
    for place, each in enumerate((x, weight, bias)):
        torch.testing.assert_close(
            torch.autograd.grad(loss, each, retain_graph=True)[0], together[place]
        )


@pytest.mark.parametrize(
    "wanted", [(True, False, False), (False, True, False), (False, False, True)]
)
@pytest.mark.parametrize("name", FUSED)
def test_only_what_is_asked_for_gets_a_gradient(name, wanted):
    x, weight, target, bias = inputs()
    one = [each.detach().requires_grad_(need) for each, need in zip((x, weight, bias), wanted,
                                                                    strict=True)]  # fmt: skip
    linear_cross_entropy(one[0], one[1], target, one[2], implementation=name).backward()
    linear_cross_entropy(x, weight, target, bias, implementation="eager").backward()
    for ours, theirs, need in zip(one, (x, weight, bias), wanted, strict=True):
        assert (ours.grad is not None) is need
        if need:
            torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", ON_CPU)
def test_without_gradients_it_is_the_same_loss(name):
    x, weight, target, bias = inputs()
    with torch.no_grad():
        found = linear_cross_entropy(x, weight, target, bias, implementation=name)
    torch.testing.assert_close(found, formula(x, weight, target, bias).detach())
    assert not found.requires_grad


@pytest.mark.parametrize("name", ON_CPU)
def test_all_ignored(name):
    x, weight, target, bias = inputs()
    target = torch.full_like(target, -100)
    assert linear_cross_entropy(x, weight, target, bias, implementation=name).isnan()
    zero = linear_cross_entropy(x, weight, target, bias, empty="zero", implementation=name)
    assert zero == 0
    for each in gradients(zero, torch.ones(()), (x, weight, bias)):
        assert (each == 0).all()


@pytest.mark.parametrize("name", ON_CPU)
def test_an_empty_batch(name):
    x, weight, target, bias = inputs(rows=0)
    assert linear_cross_entropy(x, weight, target, bias, implementation=name).isnan()
    loss = linear_cross_entropy(x, weight, target, bias, reduction="sum", implementation=name)
    assert loss == 0
    x_gradient, weight_gradient, _ = gradients(loss, torch.ones(()), (x, weight, bias))
    assert x_gradient.shape == (0, 5)
    assert (weight_gradient == 0).all()


@pytest.mark.parametrize(("name", "reduction"), ABLE)
def test_logits_of_minus_infinity(name, reduction):
    """A class that cannot be: no gradient for it, and no NaN for the others."""
    for classes, impossible in ((9, slice(3, 6)), (1100, slice(0, 1030))):
        x, weight, _, bias = inputs(6, 5, classes)
        closed = bias.detach().clone()
        closed[impossible] = -torch.inf
        target = torch.tensor([0, 1, 2, 6, 7, 8]) if classes == 9 else torch.arange(1040, 1046)
        loss = linear_cross_entropy(
            x, weight, target, closed, reduction=reduction, implementation=name
        )
        wanted = formula(x, weight, target, closed, reduction=reduction)
        torch.testing.assert_close(loss, wanted)
        ours, theirs = (
            gradients(each.sum(), torch.ones(()), (x, weight)) for each in (loss, wanted)
        )
        torch.testing.assert_close(ours, theirs)
        assert (ours[1][impossible] == 0).all()


@pytest.mark.parametrize("name", FUSED)
def test_nan_is_not_hidden(name):
    x, weight, target, bias = inputs(ignored=False)
    with torch.no_grad():
        x[2, 1] = math.nan
    assert linear_cross_entropy(x, weight, target, bias, implementation=name).isnan()


@pytest.mark.parametrize("label", [9, -1, -101])
@pytest.mark.parametrize("name", ON_CPU)
def test_a_target_out_of_range_is_an_error(name, label):
    x, weight, target, bias = inputs(ignored=False)
    target[3] = label
    with pytest.raises(
        IndexError, match=rf"target: row 3 has the label {label}; expected 0 to 8, or -100 where"
    ):
        linear_cross_entropy(x, weight, target, bias, implementation=name)


@pytest.mark.parametrize(("name", "reduction"), [(n, r) for n, r in ABLE if n in FUSED])
def test_strange_strides(name, reduction):
    x, weight, target, bias = inputs(8, 6, 20)
    wide = torch.randn(9, 20, dtype=torch.float64)
    wide[1:, 3:9] = x.detach()
    labels = torch.cat([target.new_zeros(1), target])[1:]  # not at the start of its memory
    odd = (wide[1:, 3:9].requires_grad_(), weight.detach().T.contiguous().T.requires_grad_())
    found = linear_cross_entropy(*odd, labels, bias, reduction=reduction, implementation=name)
    wanted = formula(x, weight, target, bias, reduction=reduction)
    upstream = torch.rand_like(wanted)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        gradients(found, upstream, odd), gradients(wanted, upstream, (x, weight))
    )


@pytest.mark.parametrize("name", ON_CPU)
def test_x_may_be_the_weight(name):
    x, _, _, _ = inputs(rows=6)
    target = torch.arange(6).flip(0)
    found = linear_cross_entropy(x, x, target, implementation=name)
    wanted = formula(x, x, target, None)
    torch.testing.assert_close(gradients(found, torch.ones(()), (x,)),
                               gradients(wanted, torch.ones(()), (x,)))  # fmt: skip


@pytest.mark.parametrize("name", FUSED)
def test_shifting_all_logits_changes_nothing(name):
    x, weight, target, bias = inputs()
    for shift in (-700.0, 700.0):
        torch.testing.assert_close(
            linear_cross_entropy(x, weight, target, bias + shift, implementation=name),
            linear_cross_entropy(x, weight, target, bias, implementation="eager"),
        )


@pytest.mark.parametrize("name", [name for name in FUSED if able(name, reduction="none")])
def test_an_upstream_gradient_of_nan_stays_in_its_row(name):
    x, weight, target, bias = inputs(ignored=False)
    upstream = torch.zeros(7, dtype=torch.float64)
    upstream[4] = math.nan
    loss = linear_cross_entropy(x, weight, target, bias, reduction="none", implementation=name)
    found = gradients(loss, upstream, (x,))[0]
    assert found[4].isnan().all()
    assert (found[:4] == 0).all()


@pytest.mark.parametrize("name", ON_CPU)
def test_autocast_is_heeded(name):
    x, weight, target, bias = inputs(40, 16, 60, torch.float32)
    if not able(name, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16), pytest.raises(ImplementationError):
            linear_cross_entropy(x, weight, target, bias, implementation=name)
        return
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_cross_entropy(x, weight, target, bias, implementation=name)
    low = [each.detach().bfloat16().requires_grad_() for each in (x, weight, bias)]
    wanted = linear_cross_entropy(low[0], low[1], target, low[2], implementation=name)
    assert torch.equal(found, wanted)
    assert found.dtype == torch.float32
    ours = gradients(found, torch.ones(()), (x, weight, bias))
    theirs = gradients(wanted, torch.ones(()), low)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other.float())


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
@pytest.mark.parametrize("name", FUSED)
def test_forward_mode_is_refused_not_answered_with_zero(name):
    x, weight, target, _ = inputs(ignored=False)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), torch.ones_like(x))
        with pytest.raises(ImplementationError, match="forward-mode"):
            linear_cross_entropy(dual, weight, target, implementation=name)
        # left to choose, the one that can follow is taken
        tangent = forward_ad.unpack_dual(linear_cross_entropy(dual, weight, target)).tangent
    (wanted,) = gradients(formula(x, weight, target, None), torch.ones(()), (x,))
    torch.testing.assert_close(tangent.detach(), wanted.sum())
    with pytest.raises(ImplementationError, match="forward-mode"):
        torch.func.jvp(
            lambda x: linear_cross_entropy(x, weight, target, implementation=name),
            (x.detach(),),
            (torch.ones_like(x),),
        )


@pytest.mark.parametrize(
    ("name", "reduction"),
    [("auto", "none"), ("auto", "mean")] + [(n, r) for n, r in ABLE if n in FUSED and r != "sum"],
)
def test_it_can_be_traced(name, reduction):
    """As one graph, with ignored rows, and with a number of rows that varies."""
    torch._dynamo.reset()

    def call(x, weight, target, bias):
        return linear_cross_entropy(
            x, weight, target, bias, reduction=reduction, implementation=name
        )

    traced = torch.compile(call, backend="aot_eager", fullgraph=True)
    for rows in (7, 8, 11):
        x, weight, target, bias = inputs(rows)
        found, wanted = traced(x, weight, target, bias), call(x, weight, target, bias)
        upstream = torch.rand_like(wanted)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(
            gradients(found, upstream, (x, weight, bias)),
            gradients(wanted, upstream, (x, weight, bias)),
        )


def test_the_compiled_definition_ignores_rows():
    torch._dynamo.reset()
    x, weight, target, bias = inputs(dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about itself
        found = linear_cross_entropy(x, weight, target, bias, implementation="compiled")
        ours = gradients(found, torch.ones(()), (x, weight, bias))
    wanted = linear_cross_entropy(x, weight, target, bias, implementation="eager")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(ours, gradients(wanted, torch.ones(()), (x, weight, bias)))


@pytest.mark.parametrize("name", ["eager", *FUSED])
def test_it_can_be_exported(name):
    class Head(torch.nn.Module):
        def forward(self, x, weight, target):
            return linear_cross_entropy(x, weight, target, implementation=name)

    x, weight, target, _ = inputs()
    with torch.no_grad():
        exported = torch.export.export(Head(), (x, weight, target)).module()
        torch.testing.assert_close(exported(x, weight, target), formula(x, weight, target, None))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck reads it from its own copies
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(dtype):
    from mtlkit.ops.kernels.chunked import chunked_negatives
    from mtlkit.ops.kernels.fused_grad import fused_grad_cross_entropy
    from mtlkit.ops.kernels.saved_softmax import saved_softmax_negatives

    x, weight, target, bias = inputs(6, 5, 12, dtype, ignored=False)
    for cosine in (False, True):
        torch.library.opcheck(chunked_negatives.op, (x, weight, bias, target, cosine))
        torch.library.opcheck(saved_softmax_negatives.op, (x, weight, None, target, cosine))
    one = torch.rand(6)
    torch.library.opcheck(
        fused_grad_cross_entropy.op, (x, weight, bias, target, one, one, [True, True, True])
    )


def test_the_reduction_none_is_not_served_by_gradients_of_a_sum():
    with pytest.raises(
        ImplementationError, match="'fused-grad', chosen by argument, cannot run: grad"
    ):
        linear_cross_entropy(*inputs(), reduction="none", implementation="fused-grad")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.zeros(3)}, ValueError, r"x: expected a matrix \(rows, columns\), got"),
        ({"weight": torch.zeros(4, 3)}, ValueError, r"weight: expected a matrix \(rows, 5\)"),
        ({"target": torch.zeros(3, dtype=torch.long)}, ValueError, r"target: expected the shape"),
        ({"target": torch.zeros(7, dtype=torch.int32)}, TypeError, r"int64, got torch.int32"),
        ({"x": torch.zeros(7, 5, dtype=torch.long)}, TypeError, "floating-point"),
        ({"weight": torch.zeros(9, 5)}, TypeError, "inputs of one type are expected"),
        ({"bias": torch.zeros(8)}, ValueError, r"bias: expected the shape \(9,\), got \(8,\)"),
        ({"reduction": "max"}, ValueError, "reduction: expected one of none, sum, mean"),
        ({"empty": "one"}, ValueError, "empty: expected one of nan, zero"),
        ({"label_smoothing": 1.5}, ValueError, "label_smoothing: expected 0 to 1, got 1.5"),
    ],
)  # fmt: skip
def test_wrong_arguments(change, error, message):
    x, weight, target, bias = inputs()
    given = {"x": x, "weight": weight, "target": target, "bias": bias, **change}
    with pytest.raises(error, match=f"^linear_cross_entropy: {message}|{message}"):
        linear_cross_entropy(**given)


def test_it_agrees_with_torch():
    x, weight, target, bias = inputs()
    wanted = F.cross_entropy(F.linear(x, weight, bias), target, label_smoothing=0.3)
    torch.testing.assert_close(
        linear_cross_entropy(x, weight, target, bias, label_smoothing=0.3), wanted
    )


@pytest.mark.parametrize("name", ON_CPU)
def test_the_loss_may_be_changed_in_place(name):
    x, weight, target, bias = inputs()
    loss = linear_cross_entropy(x, weight, target, bias, implementation=name)
    (wanted,) = gradients(loss / 4, torch.ones(()), (x,))
    again = linear_cross_entropy(x, weight, target, bias, implementation=name)
    again /= 4
    torch.testing.assert_close(gradients(again, torch.ones(()), (x,))[0], wanted)


@pytest.mark.parametrize("name", ON_CPU[1:])
def test_no_part_of_a_second_derivative_passes_for_the_whole(name):
    """The smoothed term is a plain product of x and W, and what is added another function of W."""
    x, weight, target, bias = inputs()
    loss = linear_cross_entropy(
        x, weight, target, bias, reduction="sum", label_smoothing=0.0 if name == "native" else 0.1,
        implementation=name,
    )  # fmt: skip
    total = loss + weight.square().sum()
    first = torch.autograd.grad(total, weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match=r"has no second derivative|no autograd formula"):
        torch.autograd.grad(first.sum(), weight)
