"""Margins change the target's logit alone: pinned to the papers' formulas, row by row."""

import math

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch.autograd import gradcheck

from mtlkit.errors import ImplementationError
from mtlkit.ops import adaface_margins, margin_cross_entropy, sampled_margin_cross_entropy, use

NAMES = ["eager", "saved-softmax", "chunked"]
FORMS = {
    "ArcFace": {"angle": 0.5},
    "CosFace": {"angle": 0.0, "additive": 0.35},
    "combined": {"angle": 0.3, "additive": 0.2},
    "SphereFace": {"angle": 0.0, "multiplier": 1.35},
    "easy": {"angle": 0.5, "easy_margin": True},
}


def inputs(rows=6, features=4, classes=9, dtype=torch.float64):
    generator = torch.Generator().manual_seed(classes)
    x = torch.randn(rows, features, generator=generator, dtype=torch.float64).to(dtype)
    weight = torch.randn(classes, features, generator=generator, dtype=torch.float64).to(dtype)
    target = torch.randint(classes, (rows,), generator=generator)
    return x.requires_grad_(), weight.requires_grad_(), target


def written(x, weight, target, scale=64.0, angle=0.5, additive=0.0, multiplier=1.0, easy=False):
    """The losses (N,) as the papers write them, with the arc cosine."""
    cosine = F.normalize(x) @ F.normalize(weight).T
    rows = torch.arange(len(x))
    own = cosine[rows, target]
    turned = multiplier * own.acos() + angle
    beyond = own - angle * math.sin(angle) if multiplier == 1 else turned.cos()
    after = torch.where(turned <= math.pi, turned.cos(), beyond) - additive
    if easy:
        after = torch.where(own > 0, after, own)
    logits = cosine.clone()
    logits[rows, target] = after
    return F.cross_entropy(scale * logits, target, reduction="none")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_papers_formula(name, form):
    for classes in (9, 1100):
        x, weight, target = inputs(classes=classes)
        wanted = written(x, weight, target, **{k.split("_")[0]: v for k, v in form.items()})
        found = margin_cross_entropy(
            x, weight, target, reduction="none", implementation=name, **form
        )
        torch.testing.assert_close(found, wanted)
        up = torch.rand_like(wanted)
        torch.testing.assert_close(
            torch.autograd.grad((found * up).sum(), (x, weight)),
            torch.autograd.grad((wanted * up).sum(), (x, weight)),
        )


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck_and_two_backward_passes(name):
    x, weight, target = inputs(4, 3, 5)
    target[1] = -100

    def call(x, weight):
        return margin_cross_entropy(x, weight, target, scale=8.0, implementation=name)

    assert gradcheck(call, (x, weight))
    loss = call(x, weight)
    first = torch.autograd.grad(loss, (x, weight), retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, (x, weight))))


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_is_infinite_at_a_cosine_of_one(name):
    """The derivative of sqrt(1 - c^2) is; insightface's form has it."""
    weight = torch.eye(4, requires_grad=True)
    for sign in (1.0, -1.0):
        x = (sign * torch.eye(4)).requires_grad_()
        loss = margin_cross_entropy(x, weight, torch.arange(4), implementation=name)
        assert all(g.isfinite().all() for g in torch.autograd.grad(loss, (x, weight)))


@pytest.mark.parametrize("name", NAMES)
def test_beyond_pi_the_logit_keeps_falling(name):
    angles = torch.linspace(0.01, math.pi - 0.01, 50, dtype=torch.float64)
    x = torch.stack([angles.cos(), angles.sin()], dim=1)
    weight = torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    losses = margin_cross_entropy(
        x, weight, torch.zeros(50, dtype=torch.long), scale=1.0, reduction="none",
        implementation=name,
    )  # fmt: skip
    negative_lse = F.normalize(x) @ weight[1]
    logits = negative_lse - (losses.exp() - 1).log()
    assert (logits.diff() < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_adaface(name):
    """Kim et al., eq. 12-13: a short feature vector gets a smaller margin near its class."""
    x, weight, target = inputs()
    lengths = x.norm(dim=1)
    angle, additive = adaface_margins(lengths, lengths.mean(), lengths.std())
    z = ((lengths - lengths.mean()) / (lengths.std() + 1e-3) * 0.333).clamp(-1, 1).detach()
    torch.testing.assert_close(angle, -0.4 * z)
    torch.testing.assert_close(additive, 0.4 * z + 0.4)
    cosine = F.normalize(x) @ F.normalize(weight).T
    own = cosine[torch.arange(6), target]
    turned = (own.acos() + angle).clamp(1e-3, math.pi - 1e-3).cos() - additive
    logits = 64 * cosine.scatter(1, target[:, None], turned[:, None])
    torch.testing.assert_close(
        margin_cross_entropy(
            x, weight, target, angle=angle, additive=additive, implementation=name
        ),
        F.cross_entropy(logits, target),
    )
    with pytest.raises(ValueError, match="multiplier: expected 1 with an angle for each row"):
        margin_cross_entropy(x, weight, target, angle=angle, multiplier=2.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES[1:])
def test_errors_are_at_most_twice_those_of_eager(name, dtype, no_worse_than_eager):
    low = inputs(64, 32, 1500, dtype)

    def all_of(kind, implementation):
        x, weight = (each.detach().to(kind).requires_grad_() for each in low[:2])
        loss = margin_cross_entropy(x, weight, low[2], implementation=implementation)
        assert loss.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        return loss, *torch.autograd.grad(loss, (x, weight))

    no_worse_than_eager(
        dtype, all_of(dtype, name), all_of(dtype, "eager"), all_of(torch.float64, "eager")
    )


@pytest.mark.parametrize("name", NAMES)
def test_nobody_has_a_label(name):
    x, weight, _ = inputs()
    none = torch.full((6,), -100)
    assert margin_cross_entropy(x, weight, none, implementation=name).isnan()
    loss = margin_cross_entropy(x, weight, none, reduction="sum", implementation=name)
    assert loss == 0
    assert all((g == 0).all() for g in torch.autograd.grad(loss, (x, weight)))


@pytest.mark.parametrize("name", NAMES[1:])
def test_it_can_be_traced(name):
    torch._dynamo.reset()

    def call(x, weight, target):
        return margin_cross_entropy(x, weight, target, implementation=name)

    traced = torch.compile(call, backend="aot_eager", fullgraph=True)
    for rows in (6, 9):
        given = inputs(rows)
        torch.testing.assert_close(traced(*given), call(*given))
        torch.testing.assert_close(
            torch.autograd.grad(traced(*given), given[:2]),
            torch.autograd.grad(call(*given), given[:2]),
        )


def test_sampling_keeps_the_classes_of_the_batch():
    x, weight, target = inputs(rows=4, classes=50)
    seen = set()
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        found = sampled_margin_cross_entropy(x, weight, target, 10, generator=generator)
        assert len(found.classes) == len(set(found.classes.tolist())) == 10
        assert set(target.tolist()) <= set(found.classes.tolist())
        assert found.classes.tolist() == sorted(found.classes.tolist())
        seen |= set(found.classes.tolist())
        place = torch.tensor([found.classes.tolist().index(t) for t in target.tolist()])
        wanted = margin_cross_entropy(x, weight[found.classes], place)
        torch.testing.assert_close(found.loss, wanted)
        (gradient,) = torch.autograd.grad(found.loss, weight)
        untouched = torch.ones(50, dtype=torch.bool)
        untouched[found.classes] = False
        assert (gradient[untouched] == 0).all()
        assert (gradient[~untouched] != 0).any(dim=1).all()
    assert len(seen) > 20
    again = sampled_margin_cross_entropy(
        x, weight, target, 10, generator=torch.Generator().manual_seed(4)
    )
    assert torch.equal(again.classes, found.classes)


def test_an_ignored_row_takes_no_class_of_the_batch_out_of_the_sample():
    x, weight, _ = inputs(rows=4, classes=50)
    target = torch.tensor([0, -100, 7, -100])
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        found = sampled_margin_cross_entropy(x, weight, target, 10, generator=generator)
        assert {0, 7} <= set(found.classes.tolist())
        place = torch.tensor([found.classes.tolist().index(t) if t >= 0 else t for t in target])
        wanted = margin_cross_entropy(x, weight[found.classes], place)
        torch.testing.assert_close(found.loss, wanted)


def test_a_sample_of_all_classes_is_the_whole_loss():
    x, weight, target = inputs()
    target[2] = -100
    found = sampled_margin_cross_entropy(x, weight, target, 9, additive=0.1)
    assert found.classes.tolist() == list(range(9))
    torch.testing.assert_close(found.loss, margin_cross_entropy(x, weight, target, additive=0.1))


def test_a_sample_is_chosen_and_refused_like_the_whole():
    x, weight, target = inputs()
    with pytest.raises(ValueError, match="samples: expected from 6, the rows, to 9, the classes"):
        sampled_margin_cross_entropy(x, weight, target, 5)
    with pytest.raises(IndexError, match=r"^sampled_margin_cross_entropy: target: row 0 has the "):
        sampled_margin_cross_entropy(x, weight, target + 9, 9)
    with pytest.raises(ImplementationError, match="no implementation named 'fused-grad'"):
        sampled_margin_cross_entropy(x, weight, target, 9, implementation="fused-grad")
    with (
        use(sampled_margin_cross_entropy="row"),
        pytest.raises(ImplementationError, match=r"^sampled_margin_cross_entropy has no imp"),
    ):
        sampled_margin_cross_entropy(x, weight, target, 9)


def test_a_sample_is_chosen_by_the_type_that_autocast_makes(monkeypatch):
    seen = []

    def choose(op, request, argument):
        seen.append(request.dtype)
        return op.reference

    monkeypatch.setattr("mtlkit.ops.sampled.choose", choose)
    monkeypatch.setattr("mtlkit.ops.margin.choose", choose)
    x, weight, target = inputs(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        sampled_margin_cross_entropy(x, weight, target, 9)
    assert seen == [torch.bfloat16, torch.bfloat16]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
@pytest.mark.parametrize("name", NAMES[1:])
def test_forward_mode_is_refused_not_answered_with_zero(name):
    x, weight, target = inputs()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.detach(), torch.ones_like(x))
        with pytest.raises(ImplementationError, match="forward-mode"):
            margin_cross_entropy(dual, weight, target, implementation=name)
        with pytest.raises(ImplementationError, match="forward-mode"):
            sampled_margin_cross_entropy(dual, weight, target, 9, implementation=name)
        tangent = forward_ad.unpack_dual(margin_cross_entropy(dual, weight, target)).tangent
    (wanted,) = torch.autograd.grad(margin_cross_entropy(x, weight, target), x)
    torch.testing.assert_close(tangent.detach(), wanted.sum())
