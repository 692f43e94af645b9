"""Checks of routers, in addition to those of all modules; branches are tested in `grouped`."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from mtlkit.adapters.pool import Pool
from mtlkit.backbones.mlp import MLP
from mtlkit.data.source import Loading
from mtlkit.errors import AssemblyError
from mtlkit.features.inputs import Batch
from mtlkit.features.vectors import VectorFeatures
from mtlkit.model import MultiTaskModel
from mtlkit.recipe import Recipe
from mtlkit.routers.base import Router
from mtlkit.routers.branches import Branch, BranchesModule
from mtlkit.task import loss_terms
from mtlkit.task_types import MISSING
from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.checks.weightings import require_same_after_restore, run_updates, with_one_task
from mtlkit.testing.harness import BACKBONE, grouped
from mtlkit.testing.small_data import small_model, small_recipe, small_targets, small_updater
from mtlkit.testing.small_features import KINDS, SmallFeatures

SAMPLES = 8


def recipe_of(subject: Subject) -> Recipe:
    """Return the small recipe with this router, or with this branch in the grouped router."""
    value = subject.value
    router = grouped(value) if isinstance(value, Branch) else value
    assert isinstance(router, Router)
    return attrs.evolve(small_recipe(), backbone=BACKBONE, router=router)


def build(recipe: Recipe) -> tuple[MultiTaskModel, Batch, dict[str, Tensor]]:
    """Return the network, and some inputs of the small data with their targets."""
    model, data = small_model(recipe)
    targets = small_targets(model, recipe, data)
    inputs = data.train.inputs[torch.arange(SAMPLES)]
    return model, inputs, {task: target[:SAMPLES] for task, target in targets.items()}


def keeps_the_terms_of_tasks(subject: Subject) -> None:
    """The loss terms of tasks come first and unchanged; all terms have distinct names."""
    recipe = recipe_of(subject)
    of_tasks = loss_terms(recipe.tasks)
    terms = recipe.router.terms(of_tasks)
    require(terms[: len(of_tasks)] == of_tasks, "the terms of tasks are changed, or not first")
    names = [term.name for term in terms]
    require(len(set(names)) == len(names), f"two terms have one name: {names}")
    unknown = [term.task for term in terms if term.task not in recipe.tasks]
    require(not unknown, f"a term belongs to {unknown}, which is not a task")


def returns_features_of_the_declared_widths(subject: Subject) -> None:
    """Shared features are as `features` describes, those of tasks as `head_features`."""
    recipe = recipe_of(subject)
    model, inputs, _ = build(recipe)
    features = model.all_features(inputs)
    mismatch = model.router.features.mismatch(features.shared, SAMPLES)
    require(mismatch is None, f"shared {mismatch} by `features`")
    if features.per_task:
        missing = [task for task in recipe.tasks if task not in features.per_task]
        require(not missing, f"{', '.join(missing)} has no separate features, unlike other tasks")
    backbone = recipe.backbone.build(recipe.data.load(Loading()).input_specs)
    of_tasks = recipe.router.head_features(backbone.features)
    for task in recipe.tasks:
        mismatch = of_tasks.mismatch(features.of(task), SAMPLES)
        require(mismatch is None, f"{task}: {mismatch} by `head_features`")


def trains_on_every_kind_of_features(subject: Subject) -> None:
    """With features of each kind that it reads, an update leaves finite weights."""
    recipe = recipe_of(subject)
    for kind, problem in feature_kinds(recipe.router):
        if problem:
            continue
        try:
            updater = small_updater(with_kind(recipe, kind))
        except AssemblyError:  # such as that of a branch that copies the last block
            continue
        run_updates(updater, range(1))
        broken = [n for n, p in updater.inner.named_parameters() if not p.isfinite().all()]
        require(not broken, f"with {kind} an update makes {', '.join(broken[:3])} not finite")


def feature_kinds(router: Router) -> Iterator[tuple[str, bool]]:
    """Yield each kind of features, and whether `router` refuses it when a recipe is read."""
    for name, kind in KINDS.items():
        yield name, not issubclass(kind, router.reads)


def with_kind(recipe: Recipe, kind: str) -> Recipe:
    """Return `recipe` with features of the kind `kind`, which every head reads pooled."""
    adapter = None if KINDS[kind] is VectorFeatures else Pool()
    tasks = {name: attrs.evolve(task, adapter=adapter) for name, task in recipe.tasks.items()}
    return attrs.evolve(recipe, backbone=SmallFeatures(kind=kind), tasks=tasks)


def shares_features_if_declared(subject: Subject) -> None:
    """With `shared_features` the loss of every task depends on the shared features."""
    recipe = recipe_of(subject)
    if not recipe.router.shared_features:
        return
    model, inputs, targets = build(recipe)
    features = model.train().features(inputs)
    shared = features.shared.detach().requires_grad_()
    counts = model.counts(targets)
    losses = model.losses_at(attrs.evolve(features, shared=shared), targets, counts)
    for task, loss, count in zip(model.tasks, losses.mean, counts, strict=False):
        [gradient] = torch.autograd.grad(
            loss, [shared], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        require(
            bool((gradient != 0).any()) or not count,
            f"`shared_features` is true, but the loss of {task} does not depend on them",
        )


def lists_modules_behind_the_features(subject: Subject) -> None:
    """The features depend on all parameters except those of `own_modules` and branches."""
    model, inputs, _ = build(recipe_of(subject))
    features = model.train().features(inputs)
    ends = [features.shared, *features.per_task.values()]
    torch.autograd.backward([end.sum() for end in ends])
    branches = [m for m in model.router.modules() if isinstance(m, BranchesModule)]
    behind = {p for m in (*model.router.own_modules(), *branches) for p in m.parameters()}
    wrong = [
        name
        for name, p in model.router.named_parameters()
        if p.requires_grad and (p.grad is None) != (p in behind)
    ]
    require(
        not wrong,
        f"`own_modules` disagrees with the dependencies of the features on {', '.join(wrong[:3])}",
    )


def normalizes_branch_weights(subject: Subject) -> None:
    """Logits of branches are (N, G, C); their weights and probabilities sum to 1."""
    model, inputs, targets = build(recipe_of(subject))
    with torch.no_grad():
        branches = model.eval()(inputs, targets).branches
    for task, result in branches.items():
        groups, classes = len(result.groups), len(model.assembly.classes[task])
        expected = (SAMPLES, groups, classes)
        require(
            tuple(result.logits.shape) == expected,
            f"the logits of {task} are {tuple(result.logits.shape)}, not {expected}",
        )
        for name, part in (("weights", result.weights), ("probabilities", result.probability)):
            sums = part.sum(dim=1)
            require(
                torch.allclose(sums, torch.ones_like(sums), atol=1e-4) and bool((part >= 0).all()),
                f"the {name} of the branches of {task} do not sum to 1",
            )


def handles_missing_labels(subject: Subject) -> None:
    """A batch without labels has zero losses, and its gradients reach every parameter."""
    model, inputs, labeled = build(recipe_of(subject))
    model.train()
    targets = {
        task: torch.full_like(target, torch.nan if target.is_floating_point() else MISSING)
        for task, target in labeled.items()
    }
    losses = model.losses(inputs, targets, model.counts(targets))
    require(bool((losses.per_sample == 0).all()), "the loss of missing labels is not 0")
    torch.autograd.backward(losses.mean.sum())
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    require(
        not without,
        f"without labels no gradient, not even 0, reaches {', '.join(without[:3])}: DDP would "
        f"deadlock",
    )


def accepts_any_backbone(subject: Subject) -> None:
    """It supports a backbone that is not splittable, or raises AssemblyError."""
    recipe = attrs.evolve(recipe_of(subject), backbone=MLP(hidden=(8,)))
    try:
        model, inputs, _ = build(recipe)
    except AssemblyError:
        return
    with torch.no_grad():
        outputs = model.eval()(inputs).outputs
    require(all(output.isfinite().all() for output in outputs.values()), "outputs are not finite")


def handles_one_task(subject: Subject) -> None:
    """With one task it trains, or `problems` rejects the recipe."""
    with_one_task(recipe_of(subject))


def resumes_exactly(subject: Subject) -> None:
    """Saved and restored after some updates, it makes the same next updates."""
    require_same_after_restore(recipe_of(subject), 2)


CHECKS = checks_of(__name__)
