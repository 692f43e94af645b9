"""Where gradients are taken, and what the heads get, against gradients of the whole network."""

import ast
import weakref
from pathlib import Path

import attrs
import pytest
import torch

import mtlkit.training
from mtlkit.errors import AssemblyError
from mtlkit.routers import BlockBranch
from mtlkit.training.gradients.batch import MicroBatch, UpdateInfo
from mtlkit.training.gradients.shared_parameters import last_layer, shared_parameters
from mtlkit.training.gradients.sources import moved
from mtlkit.weightings import AutoLambda, GradientLocation, HeadGradients


def batch_of(made, samples=12):
    context = made.context
    index = torch.arange(samples)
    targets = {task: target[index] for task, target in context.targets["train"].items()}
    counts = made.inner.model.counts(targets)
    return context.data.train.inputs[index], targets, UpdateInfo(counts, counts.nonzero().flatten())


def rows_of(losses, parameters):
    """The gradient of each loss at `parameters`, as rows."""
    rows = []
    for loss in losses:
        parts = torch.autograd.grad(
            loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def network(points, at, heads, router=None):
    scheme = points.ByNorm(at=at, heads=heads)
    recipe = attrs.evolve(points.PLAIN, weighting=scheme, backbone=points.MLP(hidden=(8, 6)))
    if router is not None:
        backbone = points.CasiaNet(width=0.05, dropout=0)
        recipe = attrs.evolve(recipe, router=router, backbone=backbone)
    made = points.updater(recipe)
    made.inner.eval()
    return made


@pytest.mark.parametrize("heads", list(HeadGradients))
@pytest.mark.parametrize("at", list(GradientLocation))
@pytest.mark.parametrize("router", ["shared", "linear", "block"])
def test_the_trunk_gets_the_weighted_sum_and_the_heads_what_they_are_to(points, at, heads, router):
    if router == "block" and at is GradientLocation.LAST_SHARED_LAYER:
        return  # refused when the recipe is read
    grouped = {
        "shared": None,
        "linear": points.GROUPED,
        "block": attrs.evolve(points.GROUPED, branch=BlockBranch()),
    }[router]
    made = network(points, at, heads, grouped)
    model = made.inner.model
    inputs, targets, whole = batch_of(made)
    losses = model.losses(inputs, targets, whole.counts).mean
    shared = shared_parameters(model.router)
    if at is GradientLocation.FEATURES:
        features = model.features(inputs)
        ends = [features.shared, *([features.maps] if features.maps is not None else [])]
        rows = rows_of(model.losses_at(features, targets, whole.counts).mean, ends)
    else:
        rows = rows_of(
            losses, shared if at is GradientLocation.PARAMETERS else last_layer(model.router)
        )
    weights = 1 / rows.norm(dim=1)
    result = made.inner(MicroBatch(inputs, targets), whole)
    result.total.backward()
    torch.testing.assert_close(result.weights, weights, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.gramian.float(), rows @ rows.T, rtol=1e-3, atol=1e-6)
    names = {id(p) for p in shared}
    for name, p in model.named_parameters():
        each = weights if id(p) in names or heads is HeadGradients.WEIGHTED else 1.0
        (wanted,) = torch.autograd.grad((each * losses).sum(), p, retain_graph=True)
        torch.testing.assert_close(p.grad, wanted, rtol=1e-4, atol=1e-6, msg=name)


def test_shared_parameters_are_those_before_the_branches(points):
    made = network(points, GradientLocation.PARAMETERS, HeadGradients.WEIGHTED, points.GROUPED)
    router = made.inner.model.router
    names = {name for name, p in router.named_parameters()}
    found = {id(p) for p in shared_parameters(router)}
    own = {name for name, p in router.named_parameters() if id(p) in found}
    assert own == {name for name in names if name.startswith("backbone.")}
    assert own < names  # branches have parameters too


def test_the_last_layer_is_the_last_kernel_its_bias_and_its_norm(points):
    made = network(
        points, GradientLocation.LAST_SHARED_LAYER, HeadGradients.WEIGHTED, points.GROUPED
    )
    backbone = made.inner.model.router.backbone
    found = last_layer(made.inner.model.router)
    block = backbone.last_block.block
    wanted = [block[3].weight, block[3].bias, block[4].weight, block[4].bias]
    assert [id(p) for p in found] == [id(p) for p in wanted]


@pytest.mark.parametrize("at", [GradientLocation.PARAMETERS, GradientLocation.LAST_SHARED_LAYER])
def test_a_frozen_trunk_has_no_gradients_to_take(points, at):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=points.ByNorm()))
    made.inner.model.router.requires_grad_(False)
    recipe = attrs.evolve(points.PLAIN, weighting=points.ByNorm(at=at))
    frozen = attrs.evolve(made.context, recipe=recipe)
    made.context = frozen
    with pytest.raises(AssemblyError, match=rf"{at.value} needs trained .* `at: features`"):
        points.rebuilt(made)


def test_at_the_features_a_frozen_trunk_is_no_matter(points):
    made = points.updater(attrs.evolve(points.PLAIN, weighting=points.ByNorm()))
    made.inner.model.router.requires_grad_(False)
    before = {name: p.clone() for name, p in made.inner.model.named_parameters()}
    made = points.rebuilt(made)
    made.update(0)
    for name, p in made.inner.model.named_parameters():
        assert p.equal(before[name]) == name.startswith("router."), name


def test_parameters_that_are_moved_come_back_to_the_bit(points):
    made = points.updater(
        attrs.evolve(points.PLAIN, weighting=points.ByNorm(at=GradientLocation.PARAMETERS))
    )
    parameters = made.inner.step.source.parameters
    before = [p.clone() for p in parameters]
    step = torch.randn(sum(p.numel() for p in parameters))
    with moved(parameters, step):
        now = torch.cat([p.detach().flatten() for p in parameters])
        old = torch.cat([p.flatten() for p in before])
        torch.testing.assert_close(now, old + step)
    assert all(p.equal(old) for p, old in zip(parameters, before, strict=True))


def test_auto_lambda_sees_the_main_loss_after_the_step(points):
    """The slope of the main loss in a weight, by finite differences of the whole chain."""
    recipe = attrs.evolve(
        points.PLAIN,
        weighting=AutoLambda(start=0.5),
        tasks={name: points.TASKS[name] for name in ("who", "side", "age")},
        optimizer=points.SGD(lr=0.05, momentum=0.0),
    )
    made = points.updater(recipe)
    seen = {}
    inner = made.inner.weighting.forward

    def spy(gramian, known):
        seen["crossed"] = gramian.clone()
        return inner(gramian, known)

    made.inner.weighting.forward = spy
    first, second = made.batches.drawn(made.batches.update(0))
    model, context = made.inner.model, made.context

    def losses_of(part):
        targets = {t: v[part.whole] for t, v in context.targets["train"].items()}
        return model.losses(context.data.train.inputs[part.whole], targets, model.counts(targets))

    shared = shared_parameters(model.router)
    start = [p.detach().clone() for p in shared]
    rows = rows_of(losses_of(first).mean, shared).detach()

    def main_loss_after(weights):
        moved = -0.05 * (weights @ rows)
        with torch.no_grad():
            pieces = torch.split(moved, [p.numel() for p in shared])
            for p, old, piece in zip(shared, start, pieces, strict=True):
                p.copy_(old + piece.view_as(p))
            found = losses_of(second).mean[0].item()
            for p, old in zip(shared, start, strict=True):
                p.copy_(old)
        return found

    weights = torch.full((3,), 0.5)
    slopes = []
    for place in range(3):
        bump = torch.zeros_like(weights)
        bump[place] = 0.02
        slopes.append((main_loss_after(weights + bump) - main_loss_after(weights - bump)) / 0.04)
    made.update(0)
    # the crossed Gramian's column of the main task, times the rate of the step
    found = -0.05 * seen["crossed"][:, 0]
    torch.testing.assert_close(
        found, torch.tensor(slopes, dtype=torch.float64), rtol=1e-2, atol=1e-6
    )


@pytest.mark.parametrize("at", [GradientLocation.FEATURES, GradientLocation.PARAMETERS])
@pytest.mark.parametrize("kind", ["ByNorm", "UnitSum"])
def test_a_rehearsal_holds_the_graph_of_one_micro_batch(points, monkeypatch, kind, at):
    """However many micro-batches there are, memory is that of one."""
    train = attrs.evolve(points.PLAIN.train, batch=48, accumulate=4)
    made = points.updater(
        attrs.evolve(points.PLAIN, weighting=getattr(points, kind)(at=at), train=train)
    )
    alive, peak = weakref.WeakSet(), []
    passes = type(made.inner.step.passes)
    compute = passes.gradients

    def spy(self, *arguments, **options):
        peak.append(len(alive))
        gradients = compute(self, *arguments, **options)
        alive.add(gradients)
        return gradients

    monkeypatch.setattr(passes, "gradients", spy)
    made.update(0)
    assert len(peak) == 8  # four rehearsed, four differentiated
    assert max(peak) == 0


def test_kinds_are_tested_in_the_factory_alone():
    """A step is chosen once; what follows calls methods."""
    folder = Path(mtlkit.training.__file__).parent
    kinds = {
        "Weighting",
        "Source",
        "WholeBatch",
        "AfterStep",
        "Sampling",
        "LookaheadWeighting",
        "Jacobian",
        "ReadsFeatures",
        "WeightsHeads",
    }
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_test = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
            tested = ast.unparse(node.args[1]) if is_test else ""
            options = tested == "Weighting"  # whether a user passed options at all
            if not options and any(kind in tested for kind in kinds):
                found.add(path.name)
    assert found == {"factory.py"}
