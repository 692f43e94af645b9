"""Several heads at once are the same heads one by one, and so are their gradients and the gate."""

import re

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch.autograd import gradcheck

from mtlkit.errors import ImplementationError
from mtlkit.ops import gate, multi_head_cross_entropy
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.gating import GATE
from mtlkit.ops.kernels.concatenated import concatenated_heads, groups, heads_feature_gradients
from mtlkit.ops.multi_head import MULTI_HEAD_CROSS_ENTROPY

REQUEST = Request(4, 4, 4)
NAMES = [n for n, i in MULTI_HEAD_CROSS_ENTROPY.implementations.items() if not i.refuses(REQUEST)]
GATES = [n for n, i in GATE.implementations.items() if not i.refuses(REQUEST)]
REDUCTIONS = ("none", "sum", "mean")


def inputs(rows=7, features=5, classes=(4, 300, 1, 3), dtype=torch.float64, missing=True):
    generator = torch.Generator().manual_seed(rows)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64).to(dtype)

    x = draw(rows, features).requires_grad_()
    weights = [draw(count, features).requires_grad_() for count in classes]
    biases = [draw(count).requires_grad_() for count in classes]
    targets = [torch.randint(count, (rows,), generator=generator) for count in classes]
    if missing:
        for head, target in enumerate(targets):
            target[head::3] = -100
        targets[-1][:] = -100  # a head that nobody has a label for
    gate = draw(3, features).requires_grad_(), draw(3).requires_grad_()
    return x, weights, targets, biases, gate


def one_by_one(x, weights, targets, biases, reduction, smoothing=0.0):
    losses = torch.stack([
        F.cross_entropy(F.linear(x, w, b), t, reduction="none", label_smoothing=smoothing)
        for w, t, b in zip(weights, targets, biases, strict=True)
    ])  # fmt: skip
    if reduction == "none":
        return losses
    counts = torch.stack([(t != -100).sum() for t in targets]).clamp_min(1)
    return losses.sum(dim=1) / (counts if reduction == "mean" else 1)


def flat(x, weights, biases, gate=()):
    return [x, *weights, *biases, *gate]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_heads_together_are_heads_alone(name, reduction, smoothing):
    x, weights, targets, biases, own_gate = inputs()
    found = multi_head_cross_entropy(
        x, weights, targets, biases, reduction=reduction, label_smoothing=smoothing,
        gate=own_gate, implementation=name,
    )  # fmt: skip
    wanted = one_by_one(x, weights, targets, biases, reduction, smoothing)
    shares = F.linear(x, *own_gate).softmax(dim=1)
    torch.testing.assert_close(found.losses, wanted)
    torch.testing.assert_close(found.gate, shares if reduction == "none" else shares.mean(dim=0))
    up, also = torch.rand_like(wanted), torch.rand_like(found.gate)
    everything = flat(x, weights, biases, own_gate)
    ours = (found.losses * up).sum() + (found.gate * also).sum()
    theirs = (wanted * up).sum() + (shares * also / (1 if reduction == "none" else len(x))).sum()
    torch.testing.assert_close(
        torch.autograd.grad(ours, everything), torch.autograd.grad(theirs, everything)
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_feature_gradients_are_those_of_each_head(name, reduction):
    x, weights, targets, biases, own_gate = inputs()
    found = multi_head_cross_entropy(
        x, weights, targets, biases, reduction=reduction, feature_gradients=True, gate=own_gate,
        implementation=name,
    )  # fmt: skip
    wanted = one_by_one(x, weights, targets, biases, reduction)
    each = wanted.sum(dim=1) if reduction == "none" else wanted
    rows = torch.stack([torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in each])
    assert found.feature_gradients.shape == (4, 7, 5)
    assert not found.feature_gradients.requires_grad
    torch.testing.assert_close(found.feature_gradients, rows)
    # the losses can be differentiated as ever
    torch.testing.assert_close(
        torch.autograd.grad(found.losses.sum(), flat(x, weights, biases)),
        torch.autograd.grad(wanted.sum(), flat(x, weights, biases)),
    )


@pytest.mark.parametrize("name", NAMES)
def test_feature_gradients_need_no_gradient_of_the_features(name):
    """As a training step has it that cuts the heads off from the trunk."""
    x, weights, targets, biases, _ = inputs()
    whole = multi_head_cross_entropy(
        x, weights, targets, biases, feature_gradients=True, implementation=name
    )
    cut = multi_head_cross_entropy(
        x.detach(), weights, targets, biases, feature_gradients=True, implementation=name
    )
    torch.testing.assert_close(cut.feature_gradients, whole.feature_gradients)
    torch.testing.assert_close(
        torch.autograd.grad(cut.losses.sum(), weights),
        torch.autograd.grad(whole.losses.sum(), weights),
    )


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name):
    x, weights, targets, biases, own_gate = inputs(4, 3, (2, 3), missing=False)

    def call(x, *rest):
        found = multi_head_cross_entropy(
            x, rest[:2], targets, rest[2:4], gate=rest[4:], implementation=name, reduction="none"
        )
        return found.losses, found.gate

    assert gradcheck(call, flat(x, weights, biases, own_gate))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES[1:])
def test_errors_are_at_most_twice_those_of_eager(name, dtype, no_worse_than_eager):
    low = inputs(64, 32, (7, 400, 20), dtype, missing=False)

    def all_of(kind, implementation):
        x, weights, biases, own_gate = (
            [each.detach().to(kind).requires_grad_() for each in part]
            for part in ([low[0]], low[1], low[3], low[4])
        )
        found = multi_head_cross_entropy(
            x[0], weights, low[2], biases, feature_gradients=True, gate=tuple(own_gate),
            implementation=implementation,
        )  # fmt: skip
        assert found.losses.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        total = (found.losses * found.gate).sum()
        everything = flat(x[0], weights, biases, own_gate)
        return found.losses, found.feature_gradients, *torch.autograd.grad(total, everything)

    no_worse_than_eager(
        dtype, all_of(dtype, name), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_row_and_no_bias(name):
    x, weights, targets, _, _ = inputs(rows=0)
    found = multi_head_cross_entropy(
        x, weights, targets, feature_gradients=True, implementation=name
    )
    assert found.losses.tolist() == [0, 0, 0, 0]
    assert found.feature_gradients.shape == (4, 0, 5)
    for each in torch.autograd.grad(found.losses.sum(), weights):
        assert (each == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_cannot_be(name):
    x, weights, targets, biases, _ = inputs(classes=(4, 3), missing=False)
    closed = biases[0].detach().clone()
    closed[3] = -torch.inf
    targets[0].clamp_(max=2)
    found = multi_head_cross_entropy(
        x, weights, targets, [closed, biases[1]], feature_gradients=True, implementation=name
    )
    assert found.losses.isfinite().all()
    assert found.feature_gradients.isfinite().all()
    gradient = torch.autograd.grad(found.losses.sum(), weights[0])[0]
    assert (gradient[3] == 0).all()
    assert (gradient[:3] != 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_two_backward_passes_agree(name):
    x, weights, targets, biases, own_gate = inputs()
    found = multi_head_cross_entropy(
        x, weights, targets, biases, gate=own_gate, implementation=name, reduction="none"
    )
    total = (found.losses * torch.rand_like(found.losses)).sum() + found.gate[:, 0].sum()
    everything = flat(x, weights, biases, own_gate)
    first = torch.autograd.grad(total, everything, retain_graph=True)
    kept = [each.clone() for each in first]
    for each in first:
        each.zero_()
    assert all(map(torch.equal, kept, torch.autograd.grad(total, everything)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", GATES)
def test_the_gate_is_a_softmax(name, reduction):
    x, _, _, _, (weight, bias) = inputs()
    found = gate(x, weight, bias, reduction=reduction, implementation=name)
    shares = F.linear(x, weight, bias).softmax(dim=1)
    wanted = shares if reduction == "none" else getattr(shares, reduction)(dim=0)
    torch.testing.assert_close(found, wanted)
    up = torch.rand_like(wanted)
    torch.testing.assert_close(
        torch.autograd.grad((found * up).sum(), (x, weight, bias)),
        torch.autograd.grad((wanted * up).sum(), (x, weight, bias)),
    )
    assert gradcheck(
        lambda *args: gate(*args, reduction=reduction, implementation=name), (x, weight, bias)
    )


@pytest.mark.parametrize("name", GATES)
def test_the_gate_keeps_float32_under_autocast(name):
    x, _, _, _, (weight, bias) = inputs(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = gate(x, weight, bias, implementation=name)
    assert found.dtype == torch.float32
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert (found - gate(x, weight, bias)).abs().max() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_autocast_is_heeded(name):
    x, weights, targets, biases, _ = inputs(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = multi_head_cross_entropy(x, weights, targets, biases, implementation=name)
    low = [[each.detach().bfloat16() for each in part] for part in ([x], weights, biases)]
    wanted = multi_head_cross_entropy(low[0][0], low[1], targets, low[2], implementation=name)
    assert found.losses.dtype == torch.float32
    assert torch.equal(found.losses, wanted.losses)


@pytest.mark.parametrize("name", ["auto", "concatenated"])
def test_it_can_be_traced(name):
    torch._dynamo.reset()

    def call(x, weights, targets, biases, gate):
        return multi_head_cross_entropy(
            x, weights, targets, biases, gate=gate, feature_gradients=name == "concatenated",
            implementation=name,
        )  # fmt: skip

    traced = torch.compile(call, backend="aot_eager", fullgraph=True)
    for rows in (7, 9):
        x, weights, targets, biases, own_gate = inputs(rows)
        found, wanted = (f(x, weights, targets, biases, own_gate) for f in (traced, call))
        torch.testing.assert_close(found.losses, wanted.losses)
        if name == "concatenated":
            torch.testing.assert_close(found.feature_gradients, wanted.feature_gradients)
        ours, theirs = (
            torch.autograd.grad((f.losses.sum() + f.gate[0]), flat(x, weights, biases, own_gate))
            for f in (found, wanted)
        )
        torch.testing.assert_close(ours, theirs)


def test_it_can_be_exported():
    class Heads(torch.nn.Module):
        def forward(self, x, one, other, first, second):
            return multi_head_cross_entropy(
                x, [one, other], [first, second], implementation="concatenated"
            ).losses

    x, weights, targets, _, _ = inputs(classes=(4, 300))
    with torch.no_grad():
        given = (x, *weights, *targets)
        exported = torch.export.export(Heads(), given).module()
        torch.testing.assert_close(exported(*given), Heads()(*given))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck reads it from its own copies
def test_opcheck():
    x, weights, targets, biases, own_gate = inputs(missing=False, dtype=torch.float32)
    with_gate = ([*weights, own_gate[0]], [*biases, own_gate[1]])
    torch.library.opcheck(concatenated_heads.op, (x, *with_gate, torch.stack(targets), 0.1))
    given = [[each.detach() for each in part] for part in (weights, biases)]
    _, _, *kept = concatenated_heads(x.detach(), *given, torch.stack(targets), 0.1)
    torch.library.opcheck(
        heads_feature_gradients.op, (given[0], torch.stack(targets), 0.1, kept, torch.rand(4, 7))
    )


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
def test_forward_mode_is_refused_not_answered_with_zero():
    x, weights, targets, _, _ = inputs()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), torch.ones_like(x))
        with pytest.raises(ImplementationError, match="forward-mode"):
            multi_head_cross_entropy(dual, weights, targets, implementation="concatenated")
        with pytest.raises(ImplementationError, match="forward-mode"):
            gate(dual, weights[0], implementation="concatenated")
        found = multi_head_cross_entropy(dual, weights, targets).losses
        assert forward_ad.unpack_dual(found).tangent.abs().sum() > 0


def test_small_heads_share_a_product_and_large_ones_do_not():
    assert [[place.head for place in group] for group in groups([200, 10_000, 13, 4, 300])] == [
        [0, 2, 3], [1], [4],
    ]  # fmt: skip
    assert groups([300]) == [[(0, 0, 300)]]


def test_wrong_arguments():
    x, weights, targets, biases, _ = inputs(missing=False)

    def message(error, **change):
        given = {"x": x, "weights": weights, "targets": targets, "biases": biases, **change}
        with pytest.raises(error) as found:
            multi_head_cross_entropy(**given)
        return str(found.value)

    assert "each of one or more heads, got 4, 3 and 4" in message(ValueError, targets=targets[:3])
    assert "got 0, 0 and 0" in message(ValueError, weights=[], targets=[], biases=[])
    assert "weights[1]: expected a matrix (rows, 5)" in message(
        ValueError, weights=[weights[0], torch.zeros(3, 4), *weights[2:]]
    )
    wrong = [targets[0], targets[1].clone().fill_(300), *targets[2:]]
    assert re.search(r"targets\[1\]: row 0 has the label 300; expected 0 to 299",
                     message(IndexError, targets=wrong))  # fmt: skip
    assert "gate: expected a matrix (rows, 5)" in message(
        ValueError, gate=(torch.zeros(2, 4), None)
    )


def test_gradients_of_joined_heads_are_tensors_of_their_own():
    """They are parts of one matrix, and yet what becomes of one is nothing to the others."""
    x, weights, targets, biases, own_gate = inputs(classes=(4, 300, 3))
    found = multi_head_cross_entropy(
        x, weights, targets, biases, gate=own_gate, implementation="concatenated"
    )
    (found.losses.sum() + found.gate[0]).backward()
    leaves = [*weights, *biases, *own_gate]
    kept = [leaf.grad.clone() for leaf in leaves]
    for number, leaf in enumerate(leaves):
        leaf.grad.mul_(-2)
        others = [other for place, other in enumerate(leaves) if place != number]
        wanted = [each for place, each in enumerate(kept) if place != number]
        assert all(torch.equal(o.grad, w) for o, w in zip(others, wanted, strict=True))
        leaf.grad.copy_(kept[number])
