"""Checks of weightings of any kind, by updates of a small model."""

import gc
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import torch
from safetensors.torch import load
from torch import Tensor

from mtlkit.component import Problem
from mtlkit.recipe import Recipe
from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.operators import Operators
from mtlkit.testing.small_data import SmallData, small_map_recipe, small_recipe, small_updater
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.optimization.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.training.update import Updater
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import GramianWeighting, JacobianWeighting, LossWeighting

UPDATES = 4


def recipe_of(subject: Subject) -> Recipe:
    """Return the small recipe with this weighting."""
    return attrs.evolve(small_recipe(), weighting=subject.value)


def run_updates(updater: Updater, updates: range) -> Updater:
    """Make some updates and return the updater."""
    for step in updates:
        updater.update(step)
    return updater


def is_of_one_kind(subject: Subject) -> None:
    """It builds a weighting of losses, of the Gramian or of the Jacobian."""
    built = small_updater(recipe_of(subject)).inner.weighting
    kinds = (LossWeighting, GramianWeighting, JacobianWeighting)
    require(
        isinstance(built, kinds),
        f"build returns a {type(built).__name__}; expected a LossWeighting, a GramianWeighting or "
        f"a JacobianWeighting",
    )


def returns_finite_weights(subject: Subject) -> None:
    """Each update is finite and logs one finite, detached weight for each loss term."""
    updater = small_updater(recipe_of(subject))
    names = [term.name for term in updater.inner.model.terms]
    before = {name: value.clone() for name, value in tensors_of(updater.inner.model).items()}
    run_updates(updater, range(UPDATES))
    _, weights = updater.meter.read()
    require(list(weights) == names, f"the weights are those of {list(weights)}, not of {names}")
    infinite = [name for name, weight in weights.items() if not math.isfinite(weight)]
    require(not infinite, f"the weight of {', '.join(infinite)} is not finite")
    require(not updater.meter.sums.requires_grad, "its weights are not detached")
    after = tensors_of(updater.inner.model)
    require(all(v.isfinite().all() for v in after.values()), "an update is not finite")
    require(any(not v.equal(before[n]) for n, v in after.items()), "updates change no weight")


def trains_on_labels_of_every_type(subject: Subject) -> None:
    """With maps, vectors and several labels, weights and updates are finite, or it is refused."""
    recipe = attrs.evolve(small_map_recipe(), weighting=subject.value)
    if recipe.problems():
        return
    updater = run_updates(small_updater(recipe), range(UPDATES))
    _, weights = updater.meter.read()
    infinite = [name for name, weight in weights.items() if not math.isfinite(weight)]
    require(not infinite, f"the weight of {', '.join(infinite)} is not finite")
    broken = [n for n, value in tensors_of(updater.inner).items() if not value.isfinite().all()]
    require(not broken, f"an update makes {', '.join(broken[:3])} not finite")


def trains_its_parameters(subject: Subject) -> None:
    """Each of its parameters receives a gradient in every update."""
    updater = run_updates(small_updater(recipe_of(subject)), range(1))
    without = [n for n, p in updater.inner.weighting.named_parameters() if p.grad is None]
    require(not without, f"no gradient reaches {', '.join(without)}: it would not be trained")


def handles_a_term_without_labels(subject: Subject) -> None:
    """An update in which a term has no labels is finite."""
    sparse = attrs.evolve(recipe_of(subject), data=SmallData(sparse=True))
    updater = small_updater(sparse)
    run_updates(updater, range(updater.batches.per_epoch))  # one of these has the labeled sample
    state = {**tensors_of(updater.inner.model), **tensors_of(updater.inner.weighting)}
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    require(not broken, f"a term without labels makes {', '.join(broken)} not finite")


def resumes_exactly(subject: Subject) -> None:
    """Saved and restored after some updates, it makes the same next updates."""
    require_same_after_restore(recipe_of(subject), UPDATES)


def require_same_after_restore(recipe: Recipe, updates: int) -> None:
    """Raise `BrokenPromiseError` unless training restored after `updates` continues as before."""
    whole = run_updates(small_updater(recipe), range(2 * updates))
    half, other = run_updates(small_updater(recipe), range(updates)), small_updater(recipe)
    other.inner.load_state_dict(tensors_of(half.inner), strict=True)
    restore_optimizer(other.optimizer, optimizer_state(half.optimizer))
    run_updates(other, range(updates, 2 * updates))
    different = different_tensors(tensors_of(whole.inner), tensors_of(other.inner), exact=True)
    require(not different, f"after a restore it differs in {different}; keep state in buffers")


def releases_the_graph(subject: Subject) -> None:
    """It keeps no tensors of a step, so that memory does not grow."""
    updater = run_updates(small_updater(recipe_of(subject)), range(2))
    gc.freeze()  # excludes existing objects from the count
    try:
        before = _new_tensors(run_updates(updater, range(2, 2 + UPDATES)))
        after = _new_tensors(run_updates(updater, range(2 + UPDATES, 2 + 2 * UPDATES)))
    finally:
        gc.unfreeze()
    require(after < before + UPDATES, f"{UPDATES} updates leave {after - before} tensors behind")


def _new_tensors(_: Updater) -> int:
    """Count the live tensors created since the collector was frozen."""
    gc.collect()
    return sum(issubclass(type(value), Tensor) for value in gc.get_objects())


def handles_one_task(subject: Subject) -> None:
    """With one task it trains, or `problems` rejects the recipe."""
    with_one_task(recipe_of(subject))


def with_one_task(recipe: Recipe) -> None:
    """Train `recipe` with one of its tasks, unless `problems` rejects it."""
    recipe = attrs.evolve(recipe, tasks={"kind": recipe.tasks["kind"]})
    problems = recipe.problems()
    require(all(isinstance(p, Problem) for p in problems), "`problems` does not return Problems")
    if not problems:
        run_updates(small_updater(recipe), range(2))


def accumulates_micro_batches(subject: Subject) -> None:
    """For a weighting of losses, two micro-batches give the same update as one."""
    recipe = recipe_of(subject)
    if not isinstance(small_updater(recipe).inner.weighting, LossWeighting):
        return
    halves = attrs.evolve(recipe, train=attrs.evolve(recipe.train, accumulate=2))
    one, two = (run_updates(small_updater(r), range(UPDATES)) for r in (recipe, halves))
    different = different_tensors(tensors_of(one.inner), tensors_of(two.inner))
    require(not different, f"with two micro-batches it differs in {different}")


def trains_equally_on_two_ranks(subject: Subject) -> None:
    """Two processes that divide each batch make the updates of one, and stay equal."""
    alone = tensors_of(run_updates(small_updater(recipe_of(subject)), range(UPDATES)).inner)
    results = _on_two_ranks(subject)
    errors = [result for result in results if isinstance(result, str)]
    require(not errors, f"two processes cannot train it: {'; '.join(errors)}")
    first, second = (load(result) for result in results if isinstance(result, bytes))
    between = different_tensors(first, second, exact=True)
    require(not between, f"the two processes differ in {between}")
    different = different_tensors(alone, first)
    require(not different, f"two processes differ from one in {different}")


def _on_two_ranks(subject: Subject) -> Sequence[bytes | str]:
    """Return the state of each rank after some updates, or its error; one run for all subjects."""
    if "two ranks" not in subject.answers:
        subjects = [s for s in subject.others or (subject,) if s.plural == subject.plural]
        subject.answers["two ranks"] = _train_on_two_ranks({s.label: s.value for s in subjects})
    results: Sequence[bytes | str] = subject.answers["two ranks"][subject.label]
    return results


def _train_on_two_ranks(values: Mapping[str, Weighting]) -> Mapping[str, Sequence[bytes | str]]:
    from mtlkit.testing.checks.two_ranks import train_all

    with TemporaryDirectory() as folder, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        train = partial(train_all, [*values.values()], Path(folder))
        try:
            ranks = [*pool.map(train, (0, 1))]
        except BrokenProcessPool:
            return dict.fromkeys(values, ("a process ended without an error",))
    return dict(zip(values, zip(*ranks, strict=True), strict=True))


def different_tensors(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], *, exact: bool = False
) -> str:
    """Return the names of the tensors that differ between two states."""
    if set(first) != set(second):
        return "their tensors have different names"
    close = torch.equal if exact else _close
    return ", ".join(name for name in first if not close(first[name], second[name]))


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one.float(), other.float(), rtol=1e-3, atol=1e-5)


def ignores_the_order_of_tasks(subject: Subject) -> None:
    """The order of tasks does not change the updates."""
    recipe = recipe_of(subject)
    reordered = attrs.evolve(recipe, tasks=dict(reversed(list(recipe.tasks.items()))))
    one, other = small_updater(recipe), small_updater(reordered)
    other.inner.model.load_state_dict(one.inner.model.state_dict(), strict=True)
    first, second = (_model_and_weights(updater) for updater in (one, other))
    different = different_tensors(first, second)
    require(not different, f"with the tasks in another order it differs in {different}")


def _model_and_weights(updater: Updater) -> Mapping[str, Tensor]:
    """Return the model after some updates, and the logged weight of each term."""
    state = tensors_of(run_updates(updater, range(UPDATES)).inner.model)
    _, weights = updater.meter.read()
    return {**state, **{f"the weight of {n}": torch.tensor(w) for n, w in weights.items()}}


OPERATORS = 3000
"""Maximum number of operators in an update of the small recipe; `equal` takes 400."""


def runs_few_operators(subject: Subject) -> None:
    """An update runs a bounded number of operators, and later updates no more than early ones.

    Counts are reproducible, unlike times; each operator costs some microseconds.
    """
    updater = run_updates(small_updater(recipe_of(subject)), range(2))
    early, late = (_operators(updater, range(start, start + UPDATES)) for start in (2, 2 + UPDATES))
    require(early <= OPERATORS, f"an update runs {early} operators; expected at most {OPERATORS}")
    require(late <= early * 1.1, f"updates run more and more operators: {early}, then {late}")


def _operators(updater: Updater, updates: range) -> int:
    """Return the mean number of operators of an update."""
    with Operators() as counter:
        run_updates(updater, updates)
    calls: int = counter.calls
    return calls // len(updates)


CHECKS = checks_of(__name__)
