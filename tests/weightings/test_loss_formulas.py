"""Weightings of losses against their formulas, and TorchJD's scalarizers as another witness."""

import itertools
import math

import attrs
import pytest
import torch
import torchjd.scalarization as peer
from sklearn.cluster import KMeans

from mtlkit.task_types import LossTerm, Role
from mtlkit.weightings import (
    COSMOS,
    DWA,
    FAMO,
    GLS,
    IMTLL,
    LDCMTL,
    PBI,
    RLW,
    STCH,
    BoundedUncertainty,
    CoV,
    Dynamic,
    GO4Align,
    HarderFirst,
    Log,
    StepInfo,
    StepLosses,
    TaskSampling,
    UpdateStats,
)
from mtlkit.weightings.solvers.adam import AdamState
from mtlkit.weightings.solvers.groups import group_means

TERMS = (
    LossTerm("who", "who", Role.MAIN, 40),
    LossTerm("pose", "pose", Role.SIDE, 13),
    LossTerm("age", "age", Role.SIDE),
)


def stats(losses, step=0, opens=False, indices=(0, 1, 2)):
    return UpdateStats(
        torch.as_tensor(losses), torch.tensor(indices), StepInfo(step, 0, opens, step)
    )


def slopes(scalarizer, losses):
    """The gradient of a TorchJD scalarizer in the losses: the weights it amounts to."""
    losses = losses.clone().requires_grad_()
    (found,) = torch.autograd.grad(scalarizer(losses), losses)
    return found


def batch(per_sample, features=None, fraction=1.0, counts=None):
    samples = per_sample.shape[1]
    features = torch.randn(samples, 5) if features is None else features
    counts = torch.full((len(TERMS),), samples / fraction) if counts is None else counts
    return StepLosses(TERMS, per_sample, torch.ones_like(per_sample), counts, fraction, features)


@pytest.mark.parametrize(
    ("own", "scalarizer"),
    [
        (GLS(), peer.GeometricMean()),
        (STCH(smoothing=0.3), peer.STCH(mu=0.3)),
    ],
    ids=["gls", "stch"],
)
def test_weights_are_the_slopes_of_torchjds_scalarizer(own, scalarizer):
    module = own.build(TERMS, 5)
    for _ in range(20):
        losses = torch.rand(3) * 3 + 0.01
        torch.testing.assert_close(module.weights(stats(losses)), slopes(scalarizer, losses))


def test_log_is_the_slope_of_the_sum_of_logarithms_and_knows_no_scale():
    losses = torch.rand(3) + 0.1
    weights = Log().build(TERMS, 5).weights(stats(losses))
    torch.testing.assert_close(weights, slopes(lambda x: x.log().sum(), losses))
    torch.testing.assert_close(weights * losses, torch.ones(3))


def test_stch_counts_preferences_and_ideals_by_name():
    scheme = STCH(smoothing=0.5, preferences={"pose": 0.6}, ideal={"who": 0.2})
    losses = torch.tensor([1.0, 0.5, 0.8])
    p, z = torch.tensor([1 / 3, 0.6, 1 / 3]), torch.tensor([0.2, 0.0, 0.0])
    wanted = slopes(lambda x: 0.5 * torch.logsumexp(p * (x - z) / 0.5, dim=0), losses)
    torch.testing.assert_close(scheme.build(TERMS, 5).weights(stats(losses)), wanted)
    for option in ("preferences", "ideal"):
        (problem,) = STCH(**{option: {"poes": 0.5}}).problems(TERMS)
        assert str(problem).startswith(
            f"weighting.{option}.poes: got 'poes', expected the name of a loss"
        )


@pytest.mark.parametrize("preferences", [{}, {"pose": 0.6, "age": 2.0}])
def test_pbi_and_cosmos_are_the_slopes_of_torchjds_scalarizers(preferences):
    ideal = {"who": 0.2}
    ray, weights = (
        torch.tensor([preferences.get(term.name, default) for term in TERMS])
        for default in (1.0, 1 / 3)
    )
    z = torch.tensor([0.2, 0.0, 0.0])
    for own, scalarizer in (
        (PBI(penalty=3.0, preferences=preferences, ideal=ideal), peer.PBI(3.0, ray, z)),
        (COSMOS(penalty=2.0, preferences=preferences), peer.COSMOS(2.0, weights)),
    ):
        module = own.build(TERMS, 5)
        for _ in range(10):
            losses = torch.rand(3) * 3 + 0.3
            torch.testing.assert_close(module.weights(stats(losses)), slopes(scalarizer, losses))
    assert PBI().build(TERMS, 5).weights(stats(torch.ones(3))).tolist() == pytest.approx(
        [3**-0.5] * 3
    )
    for own in (PBI, COSMOS):
        (problem,) = own(preferences={"poes": 0.5}).problems(TERMS)
        assert str(problem).startswith("weighting.preferences.poes: got 'poes'")


def test_go4align_is_the_authors_code_with_the_best_groups():
    """Every partition of the tasks is tried for the least sum of squares."""
    terms = tuple(attrs.evolve(TERMS[0], name=f"t{n}") for n in range(5))
    module = GO4Align(groups=2, rate=0.3).build(terms, 5)
    risks = torch.full((5,), 0.2)
    generator = torch.Generator().manual_seed(0)
    for step in range(6):
        losses = torch.rand(5, generator=generator) + 0.2
        risks = risks * (-0.3 * losses).exp()
        risks = risks / risks.sum()
        scaled = losses.sum() / losses * risks
        best = math.inf
        for owner in itertools.product((0, 1), repeat=5):
            owner = torch.tensor(owner)
            means = torch.stack([scaled[owner == owner[t]].mean() for t in range(5)])
            error = (scaled - means).square().sum().item()
            if error < best:
                best, wanted = error, means
        found = module.weights(stats(losses, step, indices=range(5)))
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(module.values, risks)


@pytest.mark.parametrize("groups", [1, 2, 3, 7])
def test_groups_have_the_least_sum_of_squares(groups):
    """Against scikit-learn's k-means, which many random starts make optimal here."""
    generator = torch.Generator().manual_seed(groups)
    for _ in range(5):
        values = torch.rand(7, generator=generator, dtype=torch.float64) ** 3
        found = group_means(values, groups)
        peer_means = KMeans(groups, n_init=100, random_state=0).fit(values.reshape(-1, 1).numpy())
        assert (values - found).square().sum().item() == pytest.approx(peer_means.inertia_)
        assert len(found.round(decimals=9).unique()) == groups


@pytest.mark.parametrize("of", ["weighted", "plain"])
def test_ldc_mtl_is_the_weighted_sum_and_the_differences_of_neighbors(of):
    """In parts of an update, too."""
    module = LDCMTL(penalty=0.7, of=of).build(TERMS, 5)
    with torch.no_grad():
        module.gate.weight.normal_()
    per_sample = (torch.rand(3, 8) + 0.1).requires_grad_()
    features = torch.randn(8, 5)
    mean = per_sample.mean(dim=1)
    weights = module.gate(features).softmax(dim=1).mean(dim=0)
    compared = weights * mean if of == "weighted" else mean
    gaps = (compared[0] - compared[1]).abs() + (compared[1] - compared[2]).abs()
    wanted = (weights * mean).sum() + 0.7 * gaps
    targets = [per_sample, module.gate.weight, module.gate.bias]
    expected = torch.autograd.grad(wanted, targets)
    whole = module(batch(per_sample, features))
    torch.testing.assert_close(whole.total, wanted)
    torch.testing.assert_close(whole.weights, weights.detach())
    parts = [
        batch(per_sample[:, half], features[half], fraction=0.5)
        for half in (slice(0, 4), slice(4, 8))
    ]
    summary = sum(module.summarize(part) for part in parts)
    halves = sum(module(attrs.evolve(part, summary=summary)).total for part in parts)
    torch.testing.assert_close(halves, wanted)
    for total in (whole.total, halves):
        found = torch.autograd.grad(total, targets, retain_graph=True)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


def test_task_sampling_is_the_plain_sum_on_average():
    module = TaskSampling(tasks=2).build(TERMS, 5)
    drawn = torch.stack([module.weights(stats([1.0, 1, 1], step=step)) for step in range(3000)])
    assert set(drawn.flatten().tolist()) == {0.0, 1.5}
    assert ((drawn > 0).sum(dim=1) == 2).all()
    assert drawn.mean(dim=0).tolist() == pytest.approx([1, 1, 1], abs=0.05)
    (problem,) = TaskSampling(tasks=3).problems(TERMS)
    assert str(problem) == (
        "weighting.tasks: got 3 of 3 losses, expected fewer than all; use `equal` to train all"
    )


def test_dwa_agrees_with_torchjd_over_epochs():
    ours, theirs = DWA(temperature=1.5).build(TERMS, 5), peer.DWA(temperature=1.5)
    generator = torch.Generator().manual_seed(2)
    for epoch in range(5):
        for update in range(4):
            losses = torch.rand(3, generator=generator) + 0.2
            found = ours.weights(stats(losses, step=4 * epoch + update, opens=update == 0))
            torch.testing.assert_close(found, slopes(theirs, losses))
        theirs.step()


def test_dwa_is_equal_for_two_epochs_and_then_favours_what_fell_least():
    module = DWA(temperature=0.5).build(TERMS, 5)
    for losses in [[1.0, 1.0, 1.0], [0.5, 0.9, 0.7]]:
        assert module.weights(stats(losses, opens=True)).tolist() == pytest.approx([1, 1, 1])
    weights = module.weights(stats([0.4, 0.8, 0.6], opens=True))
    assert weights[1] > weights[2] > weights[0]
    assert weights.sum().item() == pytest.approx(3)


def test_cov_is_the_deviation_over_the_mean_of_loss_ratios():
    """Equations 4 to 6, by the plain means of all earlier losses."""
    module = CoV().build(TERMS, 5)
    generator = torch.Generator().manual_seed(4)
    earlier, ratios = [], []
    for step in range(12):
        losses = torch.rand(3, generator=generator, dtype=torch.float64) + 0.2
        if step < 2:
            wanted = torch.full((3,), 1 / 3, dtype=torch.float64)
        else:
            past = torch.stack(ratios)
            variation = past.std(dim=0, unbiased=False) / past.mean(dim=0)
            wanted = variation / variation.sum()
        found = module.weights(stats(losses.float(), step=step))
        torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)
        ratios.append(
            losses / torch.stack(earlier).mean(dim=0) if earlier else torch.ones(3).double()
        )
        earlier.append(losses)


def test_cov_with_decay_forgets_a_wild_beginning():
    forgetful, faithful = CoV(decay=0.5).build(TERMS, 5), CoV().build(TERMS, 5)
    losses = [[9.0, 1, 1], [0.1, 1, 1.02], [9.0, 1, 0.99]] + [[1.0, 1, 1 + 0.01 * (n % 3)]
                                                              for n in range(40)]  # fmt: skip
    for step, each in enumerate(losses):
        one, other = (m.weights(stats(each, step=step)) for m in (forgetful, faithful))
    assert other[0] > 0.9
    assert one[0] < 0.01  # the wild one has been quiet for long
    assert one[2] > 0.9


def test_rlw_is_a_softmax_of_normals_the_same_for_the_same_step():
    module = RLW().build(TERMS, 5)
    drawn = torch.stack([module.weights(stats([1.0, 1, 1], step=step)) for step in range(3000)])
    assert drawn[7].equal(module.weights(stats([2.0, 5, 3], step=7)))
    torch.testing.assert_close(drawn.sum(dim=1), torch.ones(3000))
    logits = drawn.log()
    std = (logits[:, 0] - logits[:, 1]).std()  # of the difference of two normals
    assert std.item() == pytest.approx(math.sqrt(2), rel=0.05)
    assert drawn.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_famo_agrees_with_torchjd_over_updates():
    ours, theirs = (
        FAMO(learning_rate=0.05, decay=1e-2).build(TERMS, 5),
        peer.FAMO(3, lr=0.05, weight_decay=1e-2),
    )
    generator = torch.Generator().manual_seed(6)
    for step in range(15):
        before = torch.rand(3, generator=generator) + 0.2
        after = before * (0.7 + 0.4 * torch.rand(3, generator=generator))
        torch.testing.assert_close(
            ours.weights(stats(before, step=step)), slopes(theirs, before), rtol=1e-4, atol=1e-6
        )
        ours.after_step(stats(before, step=step), after)
        theirs.update(after)


def test_famo_leaves_the_state_of_an_absent_task_alone():
    module = FAMO().build(TERMS, 5)
    module.after_step(stats([1.0, 2.0], indices=(0, 2)), torch.tensor([0.5, 1.9]))
    assert module.logits[1] == 0
    assert module.logits[0] < 0 < module.logits[2]
    assert module.weights(stats([1.0, 2.0], indices=(0, 2))).sum() > 0


def test_adam_in_buffers_is_torchs():
    values = torch.tensor([1.0, -2.0, 0.5])
    reference = values.clone().requires_grad_()
    optimizer = torch.optim.Adam([reference], lr=0.1, weight_decay=0.01)
    state, at = AdamState(3, 0.1, 0.01), torch.arange(3)
    for _ in range(20):
        gradient = torch.randn(3)
        state.descend(values, gradient, at)
        reference.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(values, reference.detach())


def test_imtl_l_agrees_with_torchjd():
    ours, theirs = IMTLL().build(TERMS, 5), peer.IMTLL(3)
    (parameter,) = theirs.parameters()
    with torch.no_grad():
        for each in (ours.log_scale, parameter):
            each.copy_(torch.tensor([0.3, -0.2, 0.1]))
    per_sample = torch.rand(3, 6)
    found, wanted = ours(batch(per_sample)).total, theirs(per_sample.mean(dim=1))
    torch.testing.assert_close(found, wanted)
    found.backward()
    wanted.backward()
    torch.testing.assert_close(ours.log_scale.grad, parameter.grad)


def test_imtl_l_settles_where_every_scaled_loss_is_1():
    module = IMTLL().build(TERMS, 5)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    per_sample = torch.tensor([[0.2], [1.0], [3.0]]).expand(3, 4)
    for _ in range(300):
        optimizer.zero_grad()
        module(batch(per_sample)).total.backward()
        optimizer.step()
    assert (module.log_scale.exp() * per_sample[:, 0]).tolist() == pytest.approx([1] * 3, rel=1e-3)


def test_bounded_uncertainty_is_liebel_and_koerners_formula_and_never_negative():
    module = BoundedUncertainty().build(TERMS, 5)
    with torch.no_grad():
        module.std.copy_(torch.tensor([0.01, 0.5, 2.0]))
    per_sample = torch.rand(3, 6) * 1e-5
    mean, c = per_sample.mean(dim=1).double(), module.std.detach().double()
    total = module(batch(per_sample)).total
    wanted = (mean / (2 * c**2) + torch.log(1 + c**2)).sum()
    assert total.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert total >= 0


class TestHarderFirst:
    LOSSES = torch.tensor([[3.0], [2.0], [0.5]]).expand(3, 6)

    def test_its_gate_moves_to_the_highest_loss_where_yin_and_lius_moves_to_the_lowest(self):
        for scheme, favoured in ((HarderFirst(total=1.0), 1), (Dynamic(total=1.0), 2)):
            module = scheme.build(TERMS, 5)
            optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
            features = torch.randn(6, 5)
            for _ in range(60):
                optimizer.zero_grad()
                module(batch(self.LOSSES, features)).total.backward()
                optimizer.step()
            weights = module(batch(self.LOSSES, features)).weights
            assert weights[favoured] == weights[1:].max()
            assert weights[favoured] > 0.8

    def test_the_gate_descends_on_the_sum_of_weight_over_loss_and_the_network_does_not(self):
        module = HarderFirst(total=0.4).build(TERMS, 5)
        torch.nn.init.normal_(module.gate.linear.weight)
        features = torch.randn(6, 5, requires_grad=True)
        per_sample = (torch.rand(3, 6) + 0.1).requires_grad_()
        found = module(batch(per_sample, features))
        grads = torch.autograd.grad(
            found.total, [module.gate.linear.weight, per_sample, features], allow_unused=True
        )
        mu = module.gate.linear(features.detach()).softmax(dim=1)
        mean = per_sample.detach().mean(dim=1)
        wanted = (mu.mean(dim=0) / mean[1:]).sum()
        (expected,) = torch.autograd.grad(wanted, module.gate.linear.weight)
        torch.testing.assert_close(grads[0], expected)
        torch.testing.assert_close(grads[1][0], torch.full((6,), 1 / 6))
        torch.testing.assert_close(grads[1][1:], 0.4 * mu.detach().T / 6)
        assert grads[2] is None
        assert found.total.item() == pytest.approx(
            (found.weights[0] * mean[0] + (0.4 * mu.T * per_sample[1:]).mean(dim=1).sum()).item()
        )


def test_product_of_means_has_the_gradient_of_the_whole_batch_in_parts():
    module = Dynamic(total=1.0, form="product-of-means").build(TERMS, 5)
    torch.nn.init.normal_(module.gates["side"].linear.weight)
    features, per_sample = torch.randn(8, 5), torch.rand(3, 8) + 0.1
    weight = module.gates["side"].linear.weight
    whole = batch(per_sample, features)
    (wanted,) = torch.autograd.grad(module(whole).total, weight)
    halves = [
        attrs.evolve(
            whole,
            per_sample=per_sample[:, half],
            weights=whole.weights[:, half],
            features=features[half],
            fraction=0.5,
        )
        for half in (slice(0, 4), slice(4, 8))
    ]
    summary = sum(module.summarize(half) for half in halves)
    totals = [module(attrs.evolve(half, summary=summary)).total for half in halves]
    (found,) = torch.autograd.grad(sum(totals), weight)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(sum(totals), module(whole).total)


@pytest.mark.parametrize(
    "own", [Log(), GLS(), CoV(), FAMO(), DWA()], ids=lambda own: type(own).__name__
)
def test_a_loss_of_zero_is_no_accident_and_a_negative_one_is_not_finite(own):
    module = own.build(TERMS, 5)
    assert module.weights(stats([1.0, 0.0, 0.5])).isfinite().all()
    assert not module.weights(stats([1.0, -0.1, 0.5])).isfinite().all()
