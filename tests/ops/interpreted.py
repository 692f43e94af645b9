"""The Triton kernels against the definitions; `test_triton.py` runs this in a process of its own.

On a machine without a GPU they run in Triton's interpreter, which must be on before the kernels are
imported, and is slow: sizes are small, odd, and yet beyond one block.
"""

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import nn

from mtlkit.errors import ImplementationError
from mtlkit.ops import linear_cross_entropy, margin_cross_entropy, multi_head_cross_entropy
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops
from mtlkit.ops.kernels import triton_config
from mtlkit.ops.triton import linear as triton_linear
from mtlkit.ops.triton import saved as triton_logits
from mtlkit.ops.triton.heads import small_heads
from mtlkit.ops.triton.linear import triton_negatives
from mtlkit.ops.triton.saved import negatives_of_logits, negatives_of_logits_backward

OPS = builtin_ops()

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAMES = ["triton-saved", "triton"]
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


def results(op, name, given, kind):
    """The loss of inputs in a type, and its gradients by x and W."""
    own = copies(given, kind)
    loss = op(name, *own, reduction="sum")
    return loss, *torch.autograd.grad(loss, own[:2])


@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_several_tiles_of_classes(name, op, monkeypatch, no_worse_than_eager):
    monkeypatch.setattr(triton_linear, "TILE", 64)
    monkeypatch.setattr(triton_logits, "TILE", 64)
    given = inputs(5, 35, 150)
    ways = [(name, torch.float32), ("eager", torch.float32), ("eager", torch.float64)]
    no_worse_than_eager(torch.float32, *(results(op, each, given, kind) for each, kind in ways))


@pytest.mark.skipif(DEVICE == "cuda", reason="which has its own way")
@pytest.mark.parametrize("features", [35, 48])
@pytest.mark.parametrize(("capability", "rows"), [(75, 64), (80, 64), (90, 128), (100, 128)])
def test_however_the_work_is_cut(capability, rows, features, monkeypatch, no_worse_than_eager):
    gpu = triton_config.Gpu(capability, processors=2)
    monkeypatch.setattr(triton_config, "H100", gpu)
    assert triton_config.of_product(torch.float16, gpu, 130, 300, even=True).rows == rows
    given = inputs(130, features, 300, torch.float16)
    ways = [("triton", torch.float16), ("eager", torch.float16), ("eager", torch.float64)]
    no_worse_than_eager(torch.float16, *(results(linear, each, given, kind) for each, kind in ways))


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
def test_biases_anywhere_in_memory(name):
    """A bias may be one number for all, as autograd and broadcasts make it, or every other one."""
    x, weight, target, bias = inputs(8, classes=40)
    for own in (bias[:1].expand(40), torch.stack([bias, -bias], dim=1)[:, 0]):
        own, given = own.detach().requires_grad_(), own.detach().clone().requires_grad_()
        assert own.stride() != (1,)
        found, wanted = (
            linear(name, x, weight, target, own),
            linear("eager", x, weight, target, given),
        )
        torch.testing.assert_close(found, wanted)
        ours, theirs = (
            torch.autograd.grad(loss, (x, weight, each))
            for loss, each in ((found, own), (wanted, given))
        )
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_matrices_that_begin_at_an_odd_element(name, op, dtype):
    x, weight, target, bias = inputs(5, 32, 40, dtype)

    def shifted(tensor):
        room = torch.empty(tensor.numel() + 1, dtype=dtype, device=DEVICE)[1:]
        return room.view(tensor.shape).copy_(tensor.detach()).requires_grad_()

    moved = [shifted(x), shifted(weight), target, shifted(bias)]
    assert moved[0].data_ptr() % 16
    inner, own = (x, weight), (moved[0], moved[1])
    wanted, found = op(name, x, weight, target, bias), op(name, *moved)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, own), torch.autograd.grad(wanted, inner))


@pytest.mark.parametrize("upstream", ["expanded", "strided"])
@pytest.mark.parametrize("name", NAMES)
def test_upstream_gradients_anywhere_in_memory(name, upstream):
    """That of a sum is one number for all rows, with a stride of 0."""
    x, weight, target, bias = inputs(6)
    loss = linear(name, x, weight, target, bias, reduction="none")
    given = torch.rand(6, 2, device=DEVICE)
    up = given[0, :1].expand(6) if upstream == "expanded" else given[:, 0]
    found = torch.autograd.grad(loss, (x, weight, bias), up, retain_graph=True)
    wanted = torch.autograd.grad(loss, (x, weight, bias), up.contiguous())
    assert all(map(torch.equal, found, wanted))


LENGTHS = {"long": 3e3, "short": 1e-3, "of all lengths": None}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("name", NAMES)
def test_the_length_of_a_class_is_no_matter(name, length, dtype, no_worse_than_eager):
    """64 cos |w| leaves float16 where |w| is 1,023."""
    x, weight, target, bias = inputs(8, 32, 40)
    sizes = torch.logspace(-3, 3.4, 40) if length is None else torch.full((40,), length)
    sizes = sizes.to(DEVICE).unsqueeze(1)
    unit = nn.functional.normalize(weight.detach())
    low = (x.detach().to(dtype), (unit * sizes).to(dtype))
    upstream = 0.5 * torch.rand(8, device=DEVICE)

    def all_of(kind, implementation):
        own = copies([*low, target, bias], kind)
        loss = margin(implementation, *own, reduction="none")
        of_x, of_weight = torch.autograd.grad((loss * upstream).sum(), own[:2])
        # a class counts by its direction: gradients are as long as 1 / |w|
        return loss, of_x, of_weight.double() * sizes

    found = all_of(dtype, name)
    assert all(each.isfinite().all() for each in found)
    no_worse_than_eager(dtype, found, all_of(dtype, "eager"), all_of(torch.float64, "eager"))


@pytest.mark.parametrize("name", NAMES)
def test_all_rows_ignored(name):
    x, weight, target, bias = inputs(5)
    target[:] = -100
    assert linear(name, x, weight, target, bias).isnan()
    assert margin(name, x, weight, target, bias).isnan()
    loss = linear(name, x, weight, target, bias, empty="zero")
    assert loss == 0
    assert all((each == 0).all() for each in torch.autograd.grad(loss, (x, weight, bias)))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch(name, op, reduction):
    given = inputs(0, 5, 7)
    found, wanted = (op(each, *given, reduction=reduction) for each in (name, "eager"))
    torch.testing.assert_close(found, wanted, equal_nan=True)
    for loss in (found, wanted):
        ours = torch.autograd.grad(loss.sum(), given[:2])
        assert [each.shape for each in ours] == [(0, 5), (7, 5)]
    assert (torch.autograd.grad(op(name, *given, reduction="sum"), given[1])[0] == 0).all()


@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_autocast_is_heeded(name, op):
    given = inputs(5)
    low = copies([each.detach() for each in given], torch.bfloat16)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = op(name, *given)
    assert found.dtype == torch.float32
    ours = torch.autograd.grad(found, given[:2])
    assert {each.dtype for each in ours} == {torch.float32}
    if op is linear:  # a margin's features are made unit vectors before they are rounded
        wanted = op(name, *low)
        assert torch.equal(found, wanted)
        theirs = torch.autograd.grad(wanted, low[:2])
        assert all(torch.equal(a, b.float()) for a, b in zip(ours, theirs, strict=True))
    else:
        torch.testing.assert_close(found, op("eager", *given), rtol=0.02, atol=0.0)


@pytest.mark.parametrize("options", [
    {"label_smoothing": 0.2}, {"class_weight": True}, {"logit_scale": 2.5},
    {"label_smoothing": 0.2, "class_weight": True},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("name", NAMES)
def test_every_option(name, reduction, options):
    x, weight, target, bias = inputs(7, classes=40)
    options = dict(options)
    if options.get("class_weight"):
        options["class_weight"] = torch.rand(40, device=DEVICE)
    found, wanted = (
        linear(each, x, weight, target, bias, reduction=reduction, **options)
        for each in (name, "eager")
    )
    torch.testing.assert_close(found, wanted)
    up = torch.rand_like(wanted)
    ours, theirs = (
        torch.autograd.grad((each * up).sum(), (x, weight, bias)) for each in (found, wanted)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


class Linear(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x, weight, target, bias):
        return linear(self.name, x, weight, target, bias, reduction="none")


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_exported(name):
    given = tuple(each.detach() for each in inputs(5, 8, 20))
    exported = torch.export.export(Linear(name), given).module()
    torch.testing.assert_close(exported(*given), Linear("eager")(*given))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
@pytest.mark.parametrize("name", NAMES)
def test_forward_mode_is_refused(name):
    x, weight, target, bias = inputs(3, 5, 7)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), torch.ones_like(x))
        for op in (linear, margin):
            with pytest.raises(ImplementationError, match="forward-mode"):
                op(name, dual, weight, target, bias)
        with pytest.raises(ImplementationError, match="forward-mode"):
            multi_head_cross_entropy(dual, [weight], [target], implementation="triton")


@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_a_second_derivative_is_refused(name, op):
    x, weight, target, bias = inputs(3, 5, 7)
    loss = op(name, x, weight, target, bias, reduction="sum")
    (first,) = torch.autograd.grad(loss.square(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"no autograd formula was registered"):
        torch.autograd.grad(first.square().sum(), weight)


@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_a_number_stays_none(name, op):
    """Of an input it reaches its row alone, of an upstream gradient its row and all of W."""
    x, weight, target, bias = inputs(5, classes=140)
    target[:] = torch.arange(5)
    strange = x.detach().clone()
    strange[2, 3] = torch.nan
    strange.requires_grad_()
    losses = op(name, strange, weight, target, bias, reduction="none")
    assert losses.isnan().tolist() == [False, False, True, False, False]
    of_x, of_weight = torch.autograd.grad(losses.sum(), (strange, weight))
    assert of_x.isnan().any(dim=1).tolist() == [False, False, True, False, False]
    assert of_weight.isnan().any(dim=1).all()
    losses = op(name, x, weight, target, bias, reduction="none")
    up = torch.tensor([1.0, 1.0, torch.nan, 1.0, 1.0], device=DEVICE)
    of_x, of_weight = torch.autograd.grad(losses, (x, weight), up)
    assert of_x.isnan().all(dim=1).tolist() == [False, False, True, False, False]
    assert of_weight.isnan().any(dim=1).all()


def test_what_is_not_a_number_stays_none_in_small_heads():
    x, weight, target, _ = inputs(5, classes=20)
    target = target.clamp_min(0)
    strange = x.detach().clone()
    strange[2, 3] = torch.nan
    strange.requires_grad_()
    found = multi_head_cross_entropy(
        strange, [weight[:20], weight[:7]], [target, target % 7], reduction="none",
        gate=(weight[:3], None), implementation="triton",
    )  # fmt: skip
    row = torch.arange(5) == 2
    assert (found.losses.isnan().cpu() == row).all()
    assert (found.gate.isnan().cpu() == row[:, None]).all()
    (of_x,) = torch.autograd.grad(found.losses.sum() + found.gate[:, 0].sum(), strange)
    assert of_x.isnan().any(dim=1).tolist() == row.tolist()


@pytest.mark.skipif(DEVICE == "cuda", reason="there the device asserts it")
@pytest.mark.parametrize("wrong", [-1, 150])
@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_a_label_that_is_no_class(name, op, wrong):
    x, weight, target, bias = inputs(3)
    target[1] = wrong
    with pytest.raises(
        IndexError, match=rf"target: row 1 has the label {wrong}; expected 0 to 149"
    ):
        op(name, x, weight, target, bias)


@pytest.mark.parametrize("op", [linear, margin])
@pytest.mark.parametrize("name", NAMES)
def test_one_class_has_no_rival(name, op):
    x, weight, target, bias = inputs(3, 5, 1)
    target[:] = 0
    loss = op(name, x, weight, target, bias)
    assert loss == 0
    assert all((each == 0).all() for each in torch.autograd.grad(loss, (x, weight)))


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
        torch.library.opcheck(triton_negatives.op, given)
        torch.library.opcheck(negatives_of_logits.op, given, test_utils=all_but_one)
        one, needs = torch.rand(3, device=DEVICE), [True, True, given[2] is not None]
        plain = [each.detach() if isinstance(each, torch.Tensor) else each for each in given]
        z = torch.randn(3, 12, device=DEVICE)
        backward = (*plain, one, z, one, one, needs)
        torch.library.opcheck(negatives_of_logits_backward.op, backward)
    heads = [weight[:5].detach().requires_grad_(), weight[5:].detach().requires_grad_()]
    offsets = [bias[:5].detach().requires_grad_(), bias[5:].detach().requires_grad_()]
    torch.library.opcheck(small_heads.op, (x, heads, offsets, target[None] % 5, 0.1))


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
