"""Every head owns its loss: per sample, zero where the label is missing, never without gradient."""

import math

import pytest
import torch
import torch.nn.functional as F

from mtlkit.backbones import VectorFeatures
from mtlkit.data import ClassTarget, NumberTarget
from mtlkit.errors import AssemblyError
from mtlkit.heads import Classification, Margin, Ordinal, Regression
from mtlkit.ops import use

WIDTH = VectorFeatures(width=6)

CLASSES = ClassTarget(names=("left", "front", "right"))
EXAMPLES = {
    "classification": (Classification(), CLASSES, torch.tensor([0, -1, 2, 1])),
    "margin": (Margin(scale=8.0), CLASSES, torch.tensor([0, -1, 2, 1])),
    "ordinal": (Ordinal(), CLASSES, torch.tensor([0, -1, 2, 1])),
    "regression": (Regression(), NumberTarget(), torch.tensor([3.0, math.nan, -1.0, 5.0])),
}


@pytest.fixture(params=sorted(EXAMPLES))
def example(request):
    config, kind, target = EXAMPLES[request.param]
    head = config.build(WIDTH, kind)
    head.fit_targets(target)
    return head, torch.randn(4, 6, requires_grad=True), target


@pytest.fixture
def another(request, example):
    """A head of the same options, without statistics of the targets."""
    config, kind, _ = EXAMPLES[request.node.callspec.params["example"]]
    return config.build(WIDTH, kind)


def test_every_head_has_an_example(catalog):
    """Heads of one label for each sample; test_element_heads.py has the others."""
    single = [
        name for name in catalog.heads.names() if catalog.heads.get(name).targets[0].dims == 1
    ]
    assert single == sorted(EXAMPLES)


def test_loss_is_per_sample_and_zero_where_missing(example):
    head, features, target = example
    loss = head.loss(features, target)
    assert loss.shape == (4,)
    assert loss.dtype == torch.float32
    assert loss[1] == 0
    assert (loss[[0, 2, 3]] > 0).all()


def test_a_missing_label_has_no_gradient(example):
    head, features, target = example
    head.loss(features, target).sum().backward()
    assert (features.grad[1] == 0).all()
    assert (features.grad[[0, 2, 3]] != 0).any(dim=1).all()


def test_what_a_missing_sample_looks_like_does_not_matter(example):
    head, features, target = example
    other = features.detach().clone()
    other[1] = 1e3
    assert torch.equal(head.loss(features, target), head.loss(other, target))


def test_no_label_at_all_gives_zero_loss_and_zero_gradients(example):
    head, features, target = example
    none = torch.full_like(target, -1 if target.dtype == torch.int64 else math.nan)
    loss = head.loss(features, none)
    loss.sum().backward()
    assert (loss == 0).all()
    assert all(p.grad is not None and (p.grad == 0).all() for p in head.parameters())
    assert (features.grad == 0).all()


def test_losses_follow_the_order_of_the_samples(example):
    head, features, target = example
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(head.loss(features, target)[order], head.loss(features[order],
                                                                        target[order]))  # fmt: skip


def test_an_empty_batch_is_no_error(example):
    head, features, target = example
    loss = head.loss(features[:0], target[:0])
    assert loss.shape == (0,)
    loss.sum().backward()


def test_the_loss_is_float32_under_autocast(example):
    head, features, target = example
    with torch.autocast("cpu", torch.bfloat16):
        assert head.loss(features, target).dtype == torch.float32


def test_state_survives_saving(example, another):
    head, features, target = example
    another.load_state_dict(head.state_dict(), strict=True)
    assert torch.equal(another.loss(features, target), head.loss(features, target))


def test_classification_is_cross_entropy():
    head = Classification().build(WIDTH, CLASSES)
    features, target = torch.randn(5, 6), torch.tensor([0, 1, 2, 1, 0])
    wanted = -F.log_softmax(head(features), dim=1)[torch.arange(5), target]
    assert torch.allclose(head.loss(features, target), wanted)


def test_classification_starts_as_in_the_paper():
    head = Classification().build(
        VectorFeatures(width=320), ClassTarget(names=tuple(map(str, range(200))))
    )
    assert head.linear.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert (head.linear.bias == 0).all()


def test_a_stated_class_count_must_agree():
    assert Classification(classes=3).build(WIDTH, CLASSES)(torch.zeros(1, 6)).shape == (1, 3)
    with pytest.raises(AssemblyError, match="states 4 classes, the training data has 3"):
        Classification(classes=4).build(WIDTH, CLASSES)


def test_regression_is_the_gaussian_likelihood():
    head = Regression().build(WIDTH, NumberTarget())
    head.fit_targets(torch.tensor([10.0, 30.0]))  # mean 20, deviation 10
    features, target = torch.randn(5, 6), torch.tensor([1.0, 20, 33, 40, 12])
    standard = torch.distributions.Normal(head(features).float() / 10 - 2, 1.0)
    wanted = -standard.log_prob(target / 10 - 2) - math.log(2 * math.pi) / 2
    assert torch.allclose(head.loss(features, target), wanted, atol=1e-5)


def test_regression_is_exact_far_from_zero():
    head, features = Regression().build(VectorFeatures(width=3), NumberTarget()), torch.randn(4, 3)
    head.fit_targets(torch.tensor([1e6, 1e6 + 1]))
    target = torch.tensor([1e6, 1e6 + 1, 1e6, 1e6 + 1])
    standard = head.layers(features).squeeze(1).double()
    wanted = (standard - (target.double() - 1e6 - 0.5) / 0.5).square() / 2
    assert torch.allclose(head.loss(features, target).double(), wanted, atol=1e-5)


def test_regression_speaks_the_targets_unit():
    head = Regression().build(VectorFeatures(width=3), NumberTarget())
    head.fit_targets(torch.tensor([100.0, 300.0, math.nan]))
    assert head(torch.zeros(2, 3)).tolist() == [200.0, 200.0]


def test_a_constant_target_does_not_divide_by_zero():
    head = Regression().build(VectorFeatures(width=3), NumberTarget())
    head.fit_targets(torch.tensor([7.0, 7.0]))
    assert head.loss(torch.randn(2, 3), torch.tensor([7.0, 7.0])).isfinite().all()


def test_a_recipe_can_choose_how_the_loss_is_computed():
    features, target = torch.randn(5, 6), torch.tensor([0, -1, 1, 2, 0])
    state = Classification().build(WIDTH, CLASSES).state_dict()
    wanted = None
    for name in ("eager", "saved-softmax", "chunked"):
        head = Classification(implementation=name, label_smoothing=0.0).build(WIDTH, CLASSES)
        head.load_state_dict(state)
        with use(linear_cross_entropy="eager"):  # the recipe's word is the argument
            loss = head.loss(features, target)
        wanted = loss if wanted is None else wanted
        assert torch.allclose(loss, wanted, atol=1e-6)
        assert (type(loss.grad_fn) is type(wanted.grad_fn)) is (name == "eager")
    with pytest.raises(
        ValueError, match=r"implementation: expected one of auto, eager.*'fused-grad'"
    ):
        Classification(implementation="fused-grad")
