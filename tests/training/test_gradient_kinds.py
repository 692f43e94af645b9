"""Gradients of tasks on maps, pyramids, tokens and nodes equal those of each task by itself."""

import attrs
import pytest
import torch

from mtlkit.backbones import FPN
from mtlkit.heads import Segmentation
from mtlkit.routers import MMoE, Shared
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.testing import small_recipe
from mtlkit.testing.checks.routers import with_kind
from mtlkit.testing.small_data import small_updater
from mtlkit.testing.small_features import KINDS
from mtlkit.training.gradients import features as features_module
from mtlkit.training.gradients.batch import MicroBatch, UpdateInfo
from mtlkit.training.gradients.features import LARGE
from mtlkit.training.gradients.shared_parameters import last_layer, shared_parameters
from mtlkit.weightings import GradientLocation, GradientWeighting, GramianWeighting, HeadGradients


@attrs.frozen(kw_only=True)
class ByNorm(GradientWeighting):
    """Weights 1 / |g_t|, from the Gramian."""

    def build(self, terms, features):
        return ByNormWeights()


class ByNormWeights(GramianWeighting):
    def forward(self, gramian, known):
        return 1 / gramian.diagonal().clamp(min=1e-12).sqrt()


def rows_of(losses, points):
    """The gradient of each loss at `points`, by a backward pass of its own."""
    rows = []
    for loss in losses:
        parts = torch.autograd.grad(
            loss, points, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


CASES = [
    *((Shared(), kind, at, heads, LARGE)
      for kind in KINDS for at in GradientLocation for heads in HeadGradients),
    *((Shared(), kind, GradientLocation.FEATURES, heads, 1)  # every tensor is large
      for kind in KINDS for heads in HeadGradients),
    *((MMoE(), kind, GradientLocation.FEATURES, heads, large)
      for kind in KINDS if kind != "pyramids" for heads in HeadGradients for large in (LARGE, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("router", "kind", "at", "heads", "large"), CASES)
def test_they_equal_those_of_autograd(router, kind, at, heads, large, monkeypatch):
    monkeypatch.setattr(features_module, "LARGE", large)
    _check(with_kind(attrs.evolve(small_recipe(), router=router), kind), at, heads)


@pytest.mark.parametrize("heads", HeadGradients)
@pytest.mark.parametrize("other", [Segmentation(), Segmentation(hidden=(3,))])
def test_they_equal_those_of_autograd_behind_an_adapter_that_two_tasks_share(heads, other):
    tasks = {
        "side": Task(role=Role.MAIN, target="pixels", head=Segmentation(), adapter=FPN(channels=4)),
        "rare": Task(target="pixels", head=other, adapter=FPN(channels=4)),
    }
    recipe = attrs.evolve(with_kind(small_recipe(), "pyramids"), tasks=tasks)
    _check(recipe, GradientLocation.FEATURES, heads)


def _check(recipe, at, heads):
    """Compare a step of the recipe with backward passes of its losses."""
    recipe = attrs.evolve(recipe, weighting=ByNorm(at=at, heads=heads))
    assert recipe.problems() == []
    updater = small_updater(recipe)
    model, context = updater.inner.model, updater.context
    index = torch.arange(12)
    targets = {task: target[index] for task, target in context.targets["train"].items()}
    inputs, counts = context.data.train.inputs[index], model.counts(targets)
    update = UpdateInfo(counts, counts.nonzero().flatten())
    losses = model.losses(inputs, targets, counts).mean
    shared = shared_parameters(model.router)
    if at is GradientLocation.FEATURES:
        features = model.features(inputs)
        rows = rows_of(model.losses_at(features, targets, counts).mean, [features.shared])
    else:
        everywhere = at is GradientLocation.PARAMETERS
        rows = rows_of(losses, shared if everywhere else last_layer(model.router))
    weights = 1 / rows.norm(dim=1)
    result = updater.inner(MicroBatch(inputs, targets), update)
    result.total.backward()
    torch.testing.assert_close(result.weights, weights, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.gramian.float(), rows @ rows.T, rtol=1e-3, atol=1e-7)
    names = {id(p) for p in shared}
    for name, p in model.named_parameters():
        weighted = id(p) in names or heads is HeadGradients.WEIGHTED
        total = ((weights if weighted else 1.0) * losses).sum()
        (expected,) = torch.autograd.grad(total, p, retain_graph=True)
        torch.testing.assert_close(p.grad, expected, rtol=1e-4, atol=1e-6, msg=name)
