"""Properties of every weighting, and the published formula of each."""

import math

import attrs
import pytest
import torch

from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings import (
    RLW,
    Dynamic,
    Equal,
    Fixed,
    LossWeighting,
    StepLosses,
    TaskSampling,
    Uncertainty,
)

TERMS = (
    LossTerm("identity", "identity", Role.MAIN, 40),
    LossTerm("pose", "pose", Role.SIDE, 13),
    LossTerm("light", "light", Role.SIDE, 20),
    LossTerm("age", "age", Role.SIDE),
)
BRANCHED = (*TERMS, attrs.evolve(TERMS[0], name="identity.branches"))
FEATURES, SAMPLES = 5, 6


def step_losses(per_sample=None, features=None, counts=None, terms=BRANCHED, fraction=1.0):
    if per_sample is None:
        per_sample = torch.rand(len(terms), SAMPLES) + 0.1
    if features is None:
        features = torch.randn(per_sample.shape[1], FEATURES)
    if counts is None:
        counts = torch.full((len(terms),), float(per_sample.shape[1]))
    return StepLosses(terms, per_sample, torch.ones_like(per_sample), counts, fraction, features)


def shaken(weighting):
    """The weighting away from its symmetric start."""
    with torch.no_grad():
        for parameter in weighting.parameters():
            parameter.normal_()
    return weighting


@pytest.fixture
def weighting(loss_scheme):
    return shaken(loss_scheme.build(BRANCHED, FEATURES))


def test_weights_are_finite_non_negative_and_detached(weighting):
    found = weighting(step_losses())
    assert isinstance(weighting, LossWeighting)
    assert found.total.shape == ()
    assert found.weights.shape == (len(BRANCHED),)
    assert found.weights.isfinite().all()
    assert (found.weights >= 0).all()  # also those that may be negative at other losses
    assert not found.weights.requires_grad


def test_saved_and_loaded_it_takes_the_same_step(weighting, loss_scheme):
    losses = step_losses()
    weighting(step_losses())
    copy = loss_scheme.build(BRANCHED, FEATURES)
    copy.load_state_dict(weighting.state_dict(), strict=True)
    assert torch.equal(copy(losses).total, weighting(losses).total)


def test_a_term_without_labels_adds_nothing(weighting):
    losses = step_losses()
    silent = losses.per_sample.clone()
    silent[1] = 0
    counts = losses.counts.clone()
    counts[1] = 0
    without = weighting(attrs.evolve(losses, per_sample=silent, counts=counts))
    spoilt = silent.clone().requires_grad_()
    weighting(attrs.evolve(losses, per_sample=spoilt, counts=counts)).total.backward()
    assert without.total.isfinite()
    assert spoilt.grad.isfinite().all()


def test_the_samples_order_does_not_matter(loss_scheme):
    losses = step_losses()
    order = torch.randperm(SAMPLES)
    other = attrs.evolve(
        losses, per_sample=losses.per_sample[:, order], features=losses.features[order]
    )
    one, two = (shaken(loss_scheme.build(BRANCHED, FEATURES)) for _ in range(2))
    two.load_state_dict(one.state_dict())
    assert torch.allclose(one(losses).total, two(other).total)


def test_learned_weights_get_gradients(weighting):
    losses = step_losses(features=torch.randn(SAMPLES, FEATURES, requires_grad=True))
    total = weighting(losses).total
    parameters = list(weighting.parameters())
    if parameters:
        total.backward()
        assert all(p.grad is not None and (p.grad != 0).any() for p in parameters)
    assert all(name for name, _ in weighting.named_parameters())


# each by itself, without history: what one task is called or where it stands decides nothing
def test_the_tasks_order_does_not_matter(loss_scheme):
    if isinstance(loss_scheme, RLW | TaskSampling):
        return  # drawn by place, which is what they are
    terms = tuple(attrs.evolve(term, role=Role.SIDE) for term in TERMS[1:])
    terms = (TERMS[0], *terms)
    order = torch.tensor([0, 3, 1, 2])
    losses = step_losses(terms=terms)
    moved = attrs.evolve(
        losses, terms=tuple(terms[i] for i in order), per_sample=losses.per_sample[order]
    )
    weights = loss_scheme.build(terms, FEATURES)(losses).weights
    other = loss_scheme.build(moved.terms, FEATURES)(moved).weights
    torch.testing.assert_close(other, weights[order])


def test_fixed_is_a_weighted_sum():
    losses = step_losses(terms=TERMS)
    found = Fixed(weights={"pose": 0.3, "age": 0.0}).build(TERMS, FEATURES)(losses)
    assert found.weights.tolist() == pytest.approx([1, 0.3, 1, 0])
    mean = losses.per_sample.mean(dim=1)
    assert found.total.item() == pytest.approx((mean[0] + 0.3 * mean[1] + mean[2]).item())


def test_equal_shares_the_total_among_side_tasks():
    assert Equal().build(TERMS, FEATURES)(step_losses(terms=TERMS)).weights.tolist() == [1, 1, 1, 1]
    found = Equal(total=0.1).build(TERMS, FEATURES)(step_losses(terms=TERMS))
    assert found.weights.tolist() == pytest.approx([1, 0.1 / 3, 0.1 / 3, 0.1 / 3])


def test_uncertainty_is_kendalls_formula():
    weighting = shaken(Uncertainty().build(TERMS, FEATURES))
    losses = step_losses(terms=TERMS)
    s, mean = weighting.log_variance.detach(), losses.per_sample.mean(dim=1)
    # eq. 10 with the regression's loss L = error^2 / 2: error^2 / (2 sigma^2) + log sigma
    wanted = sum(math.exp(-s[t]) * mean[t] + s[t] / 2 for t in range(4))
    assert weighting(losses).total.item() == pytest.approx(wanted.item())


def test_uncertainty_settles_at_the_likeliest_variance():
    # d/ds (exp(-s) L + s / 2) = 0 at exp(s) = 2 L: for a regression the mean squared error
    terms = TERMS[:1]
    weighting = Uncertainty().build(terms, FEATURES)
    optimiser = torch.optim.SGD(weighting.parameters(), lr=0.5)
    losses = step_losses(torch.full((1, 4), 0.35), terms=terms)
    for _ in range(200):
        optimiser.zero_grad()
        weighting(losses).total.backward()
        optimiser.step()
    assert weighting.log_variance.exp().item() == pytest.approx(2 * 0.35, rel=1e-4)


def gate_weights(weighting, features, gate="side"):
    linear = weighting.gates[gate].linear
    return torch.softmax(features @ linear.weight.T + linear.bias, dim=1)


def test_dynamic_mean_of_products_is_equation_8():
    weighting = shaken(Dynamic(total=0.1).build(TERMS, FEATURES))
    losses = step_losses(terms=TERMS)
    mu, each = gate_weights(weighting, losses.features), losses.per_sample
    wanted = each[0].mean() + 0.1 * (mu.T * each[1:]).mean(dim=1).sum()
    assert weighting(losses).total.item() == pytest.approx(wanted.item())


@pytest.mark.parametrize("form", ["product-of-means", "released"])
def test_dynamic_product_of_means_is_the_loss_that_the_released_layer_reports(form):
    weighting = shaken(Dynamic(total=0.1, form=form).build(TERMS, FEATURES))
    losses = step_losses(terms=TERMS)
    mu, mean = gate_weights(weighting, losses.features).mean(dim=0), losses.per_sample.mean(dim=1)
    wanted = mean[0] + 0.1 * (mu * mean[1:]).sum()
    assert weighting(losses).total.item() == pytest.approx(wanted.item())


def test_dynamic_forms_differ_by_the_covariance_of_weight_and_loss():
    losses = step_losses(terms=TERMS)
    totals = {}
    for form in ("mean-of-products", "product-of-means"):
        torch.manual_seed(1)
        weighting = shaken(Dynamic(total=1.0, form=form).build(TERMS, FEATURES))
        totals[form] = weighting(losses).total
        mu = gate_weights(weighting, losses.features).T
    each = losses.per_sample[1:]
    covariance = (mu * each).mean(1) - mu.mean(1) * each.mean(1)
    difference = totals["mean-of-products"] - totals["product-of-means"]
    assert difference.item() == pytest.approx(covariance.sum().item(), abs=1e-6)


def test_dynamic_weights_reported_are_the_batch_means():
    weighting = shaken(Dynamic(total=0.1).build(TERMS, FEATURES))
    losses = step_losses(terms=TERMS)
    found = weighting(losses).weights
    wanted = 0.1 * gate_weights(weighting, losses.features).mean(dim=0)
    assert torch.allclose(found[1:], wanted)
    assert found[0] == 1
    assert found[1:].sum().item() == pytest.approx(0.1)


def test_dynamic_starts_from_equal_weights():
    found = Dynamic(total=0.3).build(TERMS, FEATURES)(step_losses(terms=TERMS)).weights
    assert found.tolist() == pytest.approx([1, 0.1, 0.1, 0.1])


def test_dynamic_scales_the_gradient_of_each_task():
    # the released layer forgets this factor; the equations do not
    weighting = Dynamic(total=0.3).build(TERMS, FEATURES)
    each = (torch.rand(4, SAMPLES) + 0.1).requires_grad_()
    weighting(step_losses(each, terms=TERMS)).total.backward()
    assert torch.allclose(each.grad[0], torch.full((SAMPLES,), 1 / SAMPLES))
    assert torch.allclose(each.grad[1:], torch.full((3, SAMPLES), 0.1 / SAMPLES))


def test_the_released_form_leaves_gradients_alone_and_moves_its_gate_as_the_product_does():
    found = {}
    for form in ("product-of-means", "released"):
        torch.manual_seed(3)
        weighting = shaken(Dynamic(total=0.3, form=form).build(TERMS, FEATURES))
        each = (torch.rand(4, SAMPLES) + 0.1).requires_grad_()
        weighting(step_losses(each, terms=TERMS)).total.backward()
        found[form] = [parameter.grad for parameter in weighting.parameters()]
    wanted = torch.tensor([[1.0], [0.3], [0.3], [0.3]]) / SAMPLES
    assert torch.allclose(each.grad, wanted.expand(4, SAMPLES))
    for product, released in zip(found["product-of-means"], found["released"], strict=True):
        torch.testing.assert_close(released, product)


@pytest.mark.parametrize("form", ["mean-of-products", "product-of-means", "released"])
def test_a_gate_favours_the_task_with_the_lowest_loss(form):
    weighting = Dynamic(total=1.0, form=form).build(TERMS, FEATURES)
    optimiser = torch.optim.SGD(weighting.parameters(), lr=1.0)
    each = torch.tensor([[3.0], [2.0], [0.5], [1.0]]).expand(4, SAMPLES)
    losses = step_losses(each, terms=TERMS)
    for _ in range(100):
        optimiser.zero_grad()
        weighting(losses).total.backward()
        optimiser.step()
    weights = weighting(losses).weights
    assert weights[2] == weights[1:].max()
    assert weights[2] > 0.9


def test_normalised_losses_start_alike_whatever_the_number_of_classes():
    terms = TERMS[:3]
    guesses = torch.tensor([[math.log(term.classes)] for term in terms]).expand(3, SAMPLES)
    losses = step_losses(guesses, terms=terms)
    weighting = Dynamic(total=0.2, normalize=True).build(terms, FEATURES)
    found = weighting(losses)
    assert found.weights[1:].tolist() == pytest.approx([0.1 / math.log(13), 0.1 / math.log(20)])
    found.total.backward()  # equal losses in these units: the gate has no reason to move
    assert weighting.gates["side"].linear.weight.grad.abs().max() < 1e-7
    assert found.total.item() == pytest.approx(math.log(40) + 0.2)


def test_main_terms_share_their_total_by_a_gate_of_their_own():
    terms = (TERMS[0], TERMS[1], attrs.evolve(TERMS[0], name="identity.branches"))
    weighting = shaken(Dynamic(gate_main=True, main_total=1.0).build(terms, FEATURES))
    losses = step_losses(torch.rand(3, SAMPLES), terms=terms)
    weights = weighting(losses).weights
    assert (weights[0] + weights[2]).item() == pytest.approx(1.0)
    assert weights[1].item() == pytest.approx(0.1)
    wanted = gate_weights(weighting, losses.features, "main").mean(dim=0)
    assert torch.allclose(weights[[0, 2]], wanted)


@pytest.mark.parametrize(
    ("weighting", "terms", "words"),
    [
        (Dynamic(), TERMS[1:], "got no main task, expected at least 1 for dynamic weights"),
        (Dynamic(), TERMS[:1], "got no side task, expected at least 1"),
        (Dynamic(gate_main=True), TERMS, "got 1 main loss, expected at least 2 for `gate_main`"),
        (Fixed(weights={"poes": 1.0}), TERMS, "got 'poes', expected the name of a loss"),
    ],
)
def test_weightings_say_what_they_cannot_weigh(weighting, terms, words):
    found = [str(problem) for problem in weighting.problems(terms)]
    assert len(found) == 1
    assert words in found[0]
    assert found[0].startswith("weighting")


def test_options_are_checked():
    with pytest.raises(ValueError, match="total: expected a number above 0, got -1"):
        Dynamic(total=-1)
    with pytest.raises(ValueError, match="form: expected one of mean-of-products"):
        Dynamic(form="median")
    with pytest.raises(ValueError, match="weights: expected a number of at least 0"):
        Fixed(weights={"pose": -0.5})
