"""The three kinds of weighting against gradients written out by hand."""

import attrs
import pytest
import torch

from mtlkit.backbones import CasiaNet
from mtlkit.errors import AssemblyError
from mtlkit.routers import BlockBranch
from mtlkit.training.gradients.batch import MicroBatch, UpdateInfo
from mtlkit.training.gradients.factory import training_step
from mtlkit.weightings import (
    DBMTL,
    IMTL,
    Direction,
    Dynamic,
    Equal,
    Fixed,
    GradientWeighting,
    HeadGradients,
    NashMTL,
    ReadsFeatures,
    Uncertainty,
    Weighting,
    WeightingModule,
)


def batch_of(made, samples=12):
    context = made.context
    index = torch.arange(samples)
    targets = {task: target[index] for task, target in context.targets["train"].items()}
    return context.data.train.inputs[index], targets, whole_of(made, targets)


def whole_of(made, targets):
    counts = made.inner.model.counts(targets)
    return UpdateInfo(counts, counts.nonzero().flatten())


def gradients(module, scalar):
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(scalar, list(named.values()), retain_graph=True, allow_unused=True)
    return dict(zip(named, found, strict=True))


def trunk_names(made):
    return {name for name, _ in made.inner.model.named_parameters() if ".backbone." in f".{name}"}


@pytest.mark.parametrize("weighting", [Equal(), Equal(total=0.1), Fixed(weights={"age": 0.3})])
def test_loss_weighting_gives_the_weighted_sum(points, weighting):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=weighting))
    inputs, targets, whole = batch_of(made)
    result = made.inner(MicroBatch(inputs, targets), whole)
    mean = made.inner.model.losses(inputs, targets, whole.counts).mean
    torch.testing.assert_close(result.total, (result.weights * mean).sum())
    result.total.backward()
    expected = gradients(made.inner.model, (result.weights * mean).sum())
    for name, p in made.inner.model.named_parameters():
        torch.testing.assert_close(p.grad, expected[name])


def by_hand(made, inputs, targets, whole):
    """Each term's gradient at the shared features, by the whole network."""
    features = made.inner.model.features(inputs)
    losses = made.inner.model.losses_at(features, targets, whole.counts).mean
    rows = [torch.autograd.grad(loss, features.shared, retain_graph=True)[0] for loss in losses]
    return features.shared, losses, torch.stack([row.flatten() for row in rows])


def test_gramian_weighting_gives_one_weighted_backward(points):
    weighting = points.ByNorm(heads=HeadGradients.WEIGHTED)
    made = points.updater(attrs.evolve(points.PLAIN, weighting=weighting))
    inputs, targets, whole = batch_of(made)
    result = made.inner(MicroBatch(inputs, targets), whole)
    result.total.backward()
    _, losses, jacobian = by_hand(made, inputs, targets, whole)
    weights = 1 / jacobian.norm(dim=1)
    torch.testing.assert_close(result.weights, weights)
    expected = gradients(made.inner.model, (weights.detach() * losses).sum())
    for name, p in made.inner.model.named_parameters():
        torch.testing.assert_close(p.grad, expected[name])


def test_jacobian_weighting_directs_the_trunk_and_leaves_the_heads_their_losses(points):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=points.UnitSum()))
    inputs, targets, whole = batch_of(made)
    made.inner(MicroBatch(inputs, targets), whole).total.backward()
    shared, losses, jacobian = by_hand(made, inputs, targets, whole)
    direction = (jacobian / jacobian.norm(dim=1, keepdim=True)).sum(dim=0).view_as(shared)
    trunk = gradients(made.inner.model, (shared * direction.detach()).sum())
    heads = gradients(made.inner.model, losses.sum())
    of_trunk = trunk_names(made)
    assert of_trunk
    for name, p in made.inner.model.named_parameters():
        expected = trunk[name] if name in of_trunk else heads[name]
        torch.testing.assert_close(p.grad, expected)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(
    "weighting",
    [
        DBMTL(heads=HeadGradients.WEIGHTED),
        IMTL(),
        NashMTL(heads=HeadGradients.WEIGHTED, largest_norm=1e-3),
    ],
    ids=lambda w: type(w).__name__,
)
def test_heads_may_have_weights_of_their_own(points, weighting, accumulate):
    """The trunk descends on the weighted sum, and each head by the weight that `heads` gives it."""
    train = attrs.evolve(points.PLAIN.train, batch=12, accumulate=accumulate)
    made = points.updater(attrs.evolve(points.PLAIN, weighting=weighting, train=train))
    if isinstance(weighting, IMTL):
        made.inner.weighting.log_scale.copy_(torch.tensor([0.5, -0.5, 0.0, 1.0]))
    log_scale = made.inner.weighting.state_dict().get("log_scale", torch.zeros(4)).clone()
    batch = made.batches.update(0, 0)
    result = made.backward.run(0, batch, 0.1, watch=False)
    model, targets = made.inner.model, made.context.targets["train"]
    targets = {task: target[batch.whole] for task, target in targets.items()}
    inputs = made.context.data.train.inputs[batch.whole]
    mean = model.losses(inputs, targets, result.update.counts).mean
    weights = result.results[0].weights
    heads = {
        DBMTL: 1 / mean.detach(),
        IMTL: log_scale.exp(),
        NashMTL: weights / weights.sum() * 4,  # of mean 1, before the clip
    }[type(weighting)]
    of_trunk = trunk_names(made)
    trunk, own = (gradients(model, (w * mean).sum()) for w in (weights, heads))
    for name, p in model.named_parameters():
        expected = trunk[name] if name in of_trunk else own[name]
        torch.testing.assert_close(p.grad, expected, rtol=1e-4, atol=1e-6)


@attrs.frozen(kw_only=True)
class AlongFeatures(GradientWeighting):
    """The direction that shrinks the features, to test what a weighting reads."""

    def build(self, terms, features):
        return AlongFeaturesDirection()


class AlongFeaturesDirection(ReadsFeatures):
    def forward(self, jacobian, stats):
        assert stats.features.shape == jacobian[0].shape
        return Direction(stats.features, torch.ones(len(jacobian)))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_weighting_may_read_the_features(points, accumulate):
    """The features are in the order of the gradients' columns, over all micro-batches."""
    train = attrs.evolve(points.PLAIN.train, batch=12, accumulate=accumulate)
    made = points.updater(attrs.evolve(points.PLAIN, weighting=AlongFeatures(), train=train))
    batch = made.batches.update(0, 0)
    result = made.backward.run(0, batch, 0.1, watch=True)
    assert all(part.gramian.shape == (4, 4) for part in result.results)
    shared = made.inner.model.features(made.context.data.train.inputs[batch.whole]).shared
    expected = gradients(made.inner.model, shared.square().sum() / 2)
    names = trunk_names(made)
    for name, p in made.inner.model.named_parameters():
        if name in names:
            torch.testing.assert_close(p.grad, expected[name], rtol=1e-4, atol=1e-6)


def test_several_outputs_of_the_backbone_have_no_common_features(points):
    router = attrs.evolve(points.GROUPED, branch=BlockBranch())
    recipe = attrs.evolve(
        points.PLAIN, backbone=CasiaNet(width=0.05), router=router, weighting=AlongFeatures()
    )
    with pytest.raises(AssemblyError, match=r"weighting.at: got several outputs .* use `at: para"):
        points.updater(recipe).update(0)


@pytest.mark.parametrize("branch", [None, BlockBranch()])
def test_a_cut_through_every_way_out_of_the_trunk_loses_nothing(points, branch):
    """With all weights equal, gradients by surrogate are the plain ones, branches included."""

    class Ones(points.ByNormWeights):
        def forward(self, gramian, stats):
            return torch.ones_like(stats.losses)

    router = points.GROUPED if branch is None else attrs.evolve(points.GROUPED, branch=branch)
    recipe = attrs.evolve(points.PLAIN, backbone=CasiaNet(width=0.05, dropout=0), router=router)
    made = points.updater(recipe)
    made.inner.eval()  # batch norm by its running statistics, the same in both passes
    inputs, targets, whole = batch_of(made)
    step = training_step(made.inner.model, Ones(), points.ByNorm())
    step(MicroBatch(inputs, targets), whole).total.backward()
    mean = made.inner.model.losses(inputs, targets, whole.counts).mean
    expected = gradients(made.inner.model, mean.sum())
    for name, p in made.inner.model.named_parameters():
        torch.testing.assert_close(p.grad, expected[name], msg=name)


@pytest.mark.parametrize("kind", ["ByNorm", "UnitSum"])
def test_gradient_weightings_run_in_bf16(points, kind):
    train = attrs.evolve(points.PLAIN.train, precision="bf16")
    recipe = attrs.evolve(points.PLAIN, weighting=getattr(points, kind)(), train=train)
    made = points.updater(recipe)
    before = [p.clone() for p in made.inner.parameters()]
    made.update(0)
    assert all(p.isfinite().all() for p in made.inner.parameters())
    assert all(not p.equal(old) for p, old in zip(made.inner.parameters(), before, strict=True))


@pytest.mark.parametrize(
    "weighting", [Equal(), Uncertainty(), Dynamic()], ids=lambda w: type(w).__name__
)
def test_a_task_without_labels_gets_zero_gradients_and_not_none(points, weighting):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=weighting))
    inputs, targets, _ = batch_of(made)
    targets = {**targets, "rare": torch.full_like(targets["rare"], -1)}
    made.inner(MicroBatch(inputs, targets), whole_of(made, targets)).total.backward()
    head = made.inner.model.head("rare")
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_a_module_of_no_kind_is_refused():
    class Stranger(WeightingModule):
        pass

    with pytest.raises(TypeError, match="Stranger must subclass LossWeighting, Gramian"):
        training_step(None, Stranger(), Equal())


def test_options_and_module_must_be_of_one_kind(points):
    @attrs.frozen(kw_only=True)
    class Disguised(Weighting):
        def build(self, terms, features):
            return points.ByNormWeights()

    module = Disguised().build((), 1)
    with pytest.raises(TypeError, match=r"Disguised builds ByNormWeights; .* GradientWeighting"):
        training_step(None, module, Disguised())
