"""What a router promises beside what every module does; a branch is tried in the grouped router."""

import attrs
import torch
from torch import Tensor

from mtlkit.backbones.mlp import MLP
from mtlkit.data.source import Loading
from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel
from mtlkit.recipe import Recipe
from mtlkit.routers.base import Router
from mtlkit.routers.branches import Branch, BranchesModule
from mtlkit.task import loss_terms
from mtlkit.task_types import MISSING
from mtlkit.testing.bench import TRUNK, grouped
from mtlkit.testing.check import Subject, checks, require
from mtlkit.testing.weightings import made, with_one_task
from mtlkit.testing.world import small_model, small_recipe, small_targets, small_updater
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.optimizer_state import optimizer_state, restore_optimizer

SAMPLES = 8


def recipe_of(subject: Subject) -> Recipe:
    """The small recipe with this router, or with this branch in the grouped router."""
    value = subject.value
    router = grouped(value) if isinstance(value, Branch) else value
    assert isinstance(router, Router)
    return attrs.evolve(small_recipe(), backbone=TRUNK, router=router)


def built(recipe: Recipe) -> tuple[MultiTaskModel, Tensor, dict[str, Tensor]]:
    """The network, and some inputs of the small world with their targets."""
    model, data = small_model(recipe)
    targets = small_targets(model, recipe, data)
    inputs = data.train.inputs[torch.arange(SAMPLES)]
    return model, inputs, {task: target[:SAMPLES] for task, target in targets.items()}


def keeps_the_tasks_terms(subject: Subject) -> None:
    """The tasks' own loss terms come first and unchanged; every term has a name of its own."""
    recipe = recipe_of(subject)
    own = loss_terms(recipe.tasks)
    found = recipe.router.terms(own)
    require(found[: len(own)] == own, "the terms of the tasks are changed, or not the first")
    names = [term.name for term in found]
    require(len(set(names)) == len(names), f"two terms have one name: {names}")
    strange = [term.task for term in found if term.task not in recipe.tasks]
    require(not strange, f"a term belongs to {strange}, which is no task")


def gives_features_of_the_declared_widths(subject: Subject) -> None:
    """Shared features are (N, `features`), own ones (N, `head_features`), for all tasks or none."""
    recipe = recipe_of(subject)
    model, inputs, _ = built(recipe)
    found = model.all_features(inputs)
    wanted = (SAMPLES, model.router.features)
    require(
        tuple(found.shared.shape) == wanted,
        f"shared features are {tuple(found.shared.shape)}, `features` says {wanted}",
    )
    if found.per_task:
        missing = [task for task in recipe.tasks if task not in found.per_task]
        require(not missing, f"{', '.join(missing)} has no features of its own, others have")
    width = recipe.router.head_features(_trunk_width(recipe))
    for task in recipe.tasks:
        shape = tuple(found.of(task).shape)
        require(
            shape == (SAMPLES, width),
            f"the head of {task} sees {shape}, `head_features` says {(SAMPLES, width)}",
        )


def _trunk_width(recipe: Recipe) -> int:
    return recipe.backbone.build(recipe.data.load(Loading()).sample_shape).features


def shares_what_it_says(subject: Subject) -> None:
    """With `shared_features` the loss of every task depends on the shared features."""
    recipe = recipe_of(subject)
    if not recipe.router.shared_features:
        return
    model, inputs, targets = built(recipe)
    found = model.train().features(inputs)
    shared = found.shared.detach().requires_grad_()
    counts = model.counts(targets)
    losses = model.losses_at(attrs.evolve(found, shared=shared), targets, counts)
    for task, loss, count in zip(model.tasks, losses.mean, counts, strict=False):
        [slope] = torch.autograd.grad(
            loss, [shared], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        require(
            bool((slope != 0).any()) or not count,
            f"`shared_features` is true, but the loss of {task} does not depend on them",
        )


def names_what_lies_behind_the_features(subject: Subject) -> None:
    """`own_modules` are those, beside branches, whose parameters the features do not depend on."""
    recipe = recipe_of(subject)
    model, inputs, _ = built(recipe)
    found = model.train().features(inputs)
    ends = [found.shared, *found.per_task.values()]
    torch.autograd.backward([end.sum() for end in ends])
    branches = [m for m in model.router.modules() if isinstance(m, BranchesModule)]
    behind = {id(p) for m in (*model.router.own_modules(), *branches) for p in m.parameters()}
    wrong = [
        name
        for name, p in model.router.named_parameters()
        if p.requires_grad and (p.grad is None) != (id(p) in behind)
    ]
    require(
        not wrong,
        f"`own_modules` and what the features depend on disagree about {', '.join(wrong[:3])}",
    )


def weighs_branches_to_one(subject: Subject) -> None:
    """What branches say is (N, G, C); their weights and probabilities sum to 1."""
    recipe = recipe_of(subject)
    model, inputs, targets = built(recipe)
    with torch.no_grad():
        found = model.eval()(inputs, targets).branches
    for task, said in found.items():
        groups, classes = len(said.groups), len(model.assembly.classes[task])
        wanted = (SAMPLES, groups, classes)
        require(
            tuple(said.logits.shape) == wanted,
            f"the branches of {task} say {tuple(said.logits.shape)}, not {wanted}",
        )
        for name, part in (("weights", said.weights), ("probabilities", said.probability)):
            sums = part.sum(dim=1)
            require(
                torch.allclose(sums, torch.ones_like(sums), atol=1e-4) and bool((part >= 0).all()),
                f"the {name} of the branches of {task} do not sum to 1",
            )


def bears_missing_labels(subject: Subject) -> None:
    """A batch in which every label is missing costs nothing, and still reaches every parameter."""
    recipe = recipe_of(subject)
    model, inputs, known = built(recipe)
    model.train()
    targets = {
        task: torch.full_like(target, torch.nan if target.is_floating_point() else MISSING)
        for task, target in known.items()
    }
    losses = model.losses(inputs, targets, model.counts(targets))
    require(bool((losses.per_sample == 0).all()), "it charges for labels that are missing")
    torch.autograd.backward(losses.mean.sum())
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    require(
        not without,
        f"without labels no gradient, not even 0, reaches {', '.join(without[:3])}: another rank "
        f"would wait for it forever",
    )


def serves_any_backbone(subject: Subject) -> None:
    """It works beside a backbone in one piece too, or refuses it with an AssemblyError."""
    recipe = attrs.evolve(recipe_of(subject), backbone=MLP(hidden=(8,)))
    try:
        model, inputs, _ = built(recipe)
    except AssemblyError:
        return
    with torch.no_grad():
        outputs = model.eval()(inputs).outputs
    require(all(found.isfinite().all() for found in outputs.values()), "outputs are not finite")


def bears_one_task(subject: Subject) -> None:
    """With one task it builds, or says beforehand that it cannot."""
    with_one_task(recipe_of(subject))


def goes_on_where_it_stopped(subject: Subject) -> None:
    """Saved after some updates and loaded into a new process, it takes the very same next ones."""
    recipe = recipe_of(subject)
    whole = made(small_updater(recipe), range(4))
    half, other = made(small_updater(recipe), range(2)), small_updater(recipe)
    other.inner.load_state_dict(tensors_of(half.inner), strict=True)
    restore_optimizer(other.optimizer, optimizer_state(half.optimizer))
    made(other, range(2, 4))
    first, second = tensors_of(whole.inner), tensors_of(other.inner)
    different = [name for name in first if not torch.equal(first[name], second[name])]
    require(
        not different,
        f"after a stop it goes another way: {', '.join(different[:5])}; keep state in buffers",
    )


CHECKS = checks(
    keeps_the_tasks_terms,
    gives_features_of_the_declared_widths,
    shares_what_it_says,
    names_what_lies_behind_the_features,
    weighs_branches_to_one,
    bears_missing_labels,
    serves_any_backbone,
    bears_one_task,
    goes_on_where_it_stopped,
)
