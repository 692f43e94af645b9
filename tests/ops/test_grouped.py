"""Each row by the head of its group: the same as a head for each group alone."""

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch.autograd import gradcheck

from mtlkit.errors import ImplementationError
from mtlkit.ops import grouped_linear_cross_entropy
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.grouped import GROUPED_LINEAR_CROSS_ENTROPY
from mtlkit.ops.kernels.sorted_groups import sorted_groups

NAMES = ["eager", "sorted", "concatenated"]
ALL = [
    n for n, i in GROUPED_LINEAR_CROSS_ENTROPY.implementations.items()
    if not i.refuses(Request(8, 8, 8))
]  # fmt: skip


def inputs(rows=17, features=8, classes=(8, 8, 8), dtype=torch.float64, missing=True):
    generator = torch.Generator().manual_seed(rows)

    def draw(*size):
        drawn = torch.randn(*size, generator=generator, dtype=torch.float64)
        return drawn.to(dtype).requires_grad_()

    x = draw(rows, features)
    weights, biases = [draw(c, features) for c in classes], [draw(c) for c in classes]
    group = torch.randint(len(classes), (rows,), generator=generator)
    ends = torch.tensor(classes)[group]
    target = (torch.rand(rows, generator=generator) * ends).long()
    if missing and rows:
        group[0], target[1] = -1, -100
        target[0] = 10**6  # what a row without a group says does not matter
        group[group == 1] = 2  # nobody is in group 1
        target[2:] %= torch.tensor(classes)[group[2:]]
    return x, weights, target, group, biases


def alone(x, weights, target, group, biases, smoothing=0.0):
    losses = []
    for row in range(len(x)):
        if group[row] < 0 or target[row] == -100:
            losses.append(x[row].sum() * 0)
        else:
            logits = F.linear(x[row], weights[group[row]], biases[group[row]])
            losses.append(F.cross_entropy(logits, target[row], label_smoothing=smoothing))
    return torch.stack(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes", [(8, 8, 8), (3, 1, 20)])
@pytest.mark.parametrize("name", NAMES)
def test_each_row_is_served_by_its_group(name, classes, smoothing):
    x, weights, target, group, biases = inputs(classes=classes)
    given = (x, weights, target, group, biases)
    wanted = alone(*given, smoothing)
    found = grouped_linear_cross_entropy(
        *given, reduction="none", label_smoothing=smoothing, implementation=name
    )
    torch.testing.assert_close(found, wanted)
    up = torch.rand_like(wanted)
    everything = [x, *weights, *biases]
    kept = torch.autograd.grad((found * up).sum(), everything, retain_graph=True)
    theirs = torch.autograd.grad(
        (wanted * up).sum(), everything, allow_unused=True, materialize_grads=True
    )
    torch.testing.assert_close(kept, theirs)
    assert (kept[2] == 0).all()  # the group that nobody is in
    assert all(map(torch.equal, kept, torch.autograd.grad((found * up).sum(), everything)))


@pytest.mark.parametrize("name", NAMES)
def test_reductions(name):
    given = inputs()
    losses, group = alone(*given), given[3]
    counted = losses != 0

    def reduced(**kwargs):
        return grouped_linear_cross_entropy(*given, implementation=name, **kwargs)

    torch.testing.assert_close(reduced(reduction="sum"), losses.sum())
    torch.testing.assert_close(reduced(), losses[counted].mean())
    means = torch.stack([losses[counted & (group == g)].mean() for g in (0, 2)])
    torch.testing.assert_close(reduced(mean_of_groups=True), means.mean())


@pytest.mark.parametrize("name", NAMES)
def test_no_row_in_any_group(name):
    x, weights, target, group, biases = inputs()
    for given in ((x, weights, target, torch.full_like(group, -1)),
                  (x[:0], weights, target[:0], group[:0])):  # fmt: skip
        loss = grouped_linear_cross_entropy(*given, biases, implementation=name)
        assert loss == 0
        for each in torch.autograd.grad(loss, [x, *weights, *biases]):
            assert (each == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name):
    x, weights, target, group, biases = inputs(6, 3, (2, 3), missing=False)

    def call(x, *rest):
        return grouped_linear_cross_entropy(
            x, rest[:2], target, group, rest[2:], reduction="none", implementation=name
        )

    assert gradcheck(call, (x, *weights, *biases))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ALL[1:])
def test_errors_are_at_most_twice_those_of_eager(name, dtype, no_worse_than_eager):
    x, weights, target, group, biases = inputs(64, 16, (24, 24, 24), dtype)

    def all_of(kind, implementation):
        own = [each.detach().to(kind).requires_grad_() for each in (x, *weights, *biases)]
        loss = grouped_linear_cross_entropy(
            own[0], own[1:4], target, group, own[4:], implementation=implementation
        )
        assert loss.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        return loss, *torch.autograd.grad(loss, own)

    no_worse_than_eager(
        dtype, all_of(dtype, name), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


def test_it_can_be_traced_and_heeds_autocast():
    torch._dynamo.reset()

    def call(*args):
        return grouped_linear_cross_entropy(*args, implementation="sorted")

    traced = torch.compile(call, backend="aot_eager", fullgraph=True)
    for rows in (17, 19):
        given = inputs(rows, dtype=torch.float32)
        torch.testing.assert_close(traced(*given), call(*given))
        everything = [given[0], *given[1], *given[4]]
        torch.testing.assert_close(
            torch.autograd.grad(traced(*given), everything),
            torch.autograd.grad(call(*given), everything),
        )
    with torch.autocast("cpu", torch.bfloat16):
        found = call(*given)
    low = [[each.detach().bfloat16() for each in part] for part in ([given[0]], given[1], given[4])]
    assert torch.equal(found, call(low[0][0], low[1], given[2], given[3], low[2]))


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck reads it from its own copies
def test_opcheck():
    x, weights, target, group, biases = inputs(missing=False, dtype=torch.float32)
    torch.library.opcheck(sorted_groups.op, (x, weights, biases, target, group, 0.1))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_a_group_may_be_anything(name):
    x, weights, target, group, biases = inputs()
    with torch.no_grad():
        x[0], x[1] = torch.nan, torch.inf  # of no group, and without a target
    found = grouped_linear_cross_entropy(
        x, weights, target, group, biases, reduction="none", implementation=name
    )
    assert found[:2].tolist() == [0, 0]
    assert found.isfinite().all()
    assert (found[2:] > 0).all()
    for each in torch.autograd.grad(found.sum(), (x, *weights, *biases)):
        assert each.isfinite().all()


def test_grouped_mm_says_what_it_cannot():
    def reason(*classes, features=8, dtype=torch.float32):
        given = inputs(9, features, classes, dtype, missing=False)
        with pytest.raises(ImplementationError) as found:
            grouped_linear_cross_entropy(*given, implementation="grouped_mm")
        return str(found.value)

    assert "rows of a multiple of 16 bytes, classes are 7" in reason(7, 7)
    assert "features are 9" in reason(8, 8, features=9)
    assert "the same number of classes in every group" in reason(4, 8)
    assert "no float64" in reason(8, 8, dtype=torch.float64)


def test_wrong_arguments():
    x, weights, target, group, biases = inputs(classes=(3, 1, 20), missing=False)
    with pytest.raises(IndexError, match=r"group: row 4 has the label 3; expected 0 to 2, or -1"):
        grouped_linear_cross_entropy(x, weights, target, group.index_fill(0, torch.tensor(4), 3))
    wrong = target.clone()
    row = int((group == 1).nonzero()[0])
    wrong[row] = 1
    with pytest.raises(
        IndexError, match=rf"row {row} has the label 1; its group has the labels 0 "
    ):
        grouped_linear_cross_entropy(x, weights, wrong, group)
    with pytest.raises(ValueError, match="one or more groups, got 3 and 2"):
        grouped_linear_cross_entropy(x, weights, target, group, biases[:2])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
def test_forward_mode_is_refused_not_answered_with_zero():
    x, weights, target, group, _ = inputs(dtype=torch.float32)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), torch.ones_like(x))
        for name in ALL[1:]:
            with pytest.raises(ImplementationError, match="forward-mode"):
                grouped_linear_cross_entropy(dual, weights, target, group, implementation=name)
        found = grouped_linear_cross_entropy(dual, weights, target, group)
        assert forward_ad.unpack_dual(found).tangent.abs() > 0
