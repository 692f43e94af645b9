"""What a weighting promises; everything is tried through updates, whatever its kind is."""

import gc
import math
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import attrs
import torch
from safetensors.torch import load_file
from torch import Tensor

from mtlkit.component import Problem
from mtlkit.recipe import Recipe
from mtlkit.testing.check import Subject, checks, require
from mtlkit.testing.operators import Operators
from mtlkit.testing.world import SmallData, small_recipe, small_updater
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.training.update import Updater
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import GramianWeighting, JacobianWeighting, LossWeighting

UPDATES = 4


def recipe_of(subject: Subject) -> Recipe:
    """The small recipe under this weighting."""
    return attrs.evolve(small_recipe(), weighting=subject.value)


def made(updater: Updater, updates: range) -> Updater:
    """The updater, after some updates."""
    for step in updates:
        updater.update(step)
    return updater


def is_of_one_kind(subject: Subject) -> None:
    """Built, it is a weighting of losses, of the Gramian or of the Jacobian."""
    built = small_updater(recipe_of(subject)).inner.weighting
    kinds = (LossWeighting, GramianWeighting, JacobianWeighting)
    require(
        isinstance(built, kinds),
        f"build gives a {type(built).__name__}; expected a LossWeighting, a GramianWeighting or "
        f"a JacobianWeighting",
    )


def tells_its_weights(subject: Subject) -> None:
    """Each update is finite and tells one finite, detached weight for each loss term."""
    updater = small_updater(recipe_of(subject))
    names = [term.name for term in updater.inner.model.terms]
    before = {name: value.clone() for name, value in tensors_of(updater.inner.model).items()}
    made(updater, range(UPDATES))
    _, weights = updater.meter.read()
    require(list(weights) == names, f"weights are told of {list(weights)}, not of {names}")
    strange = [name for name, weight in weights.items() if not math.isfinite(weight)]
    require(not strange, f"the weight of {', '.join(strange)} is not finite")
    require(not updater.meter.own.requires_grad, "the weights it tells are not detached")
    after = tensors_of(updater.inner.model)
    require(all(v.isfinite().all() for v in after.values()), "an update is not finite")
    require(any(not v.equal(before[n]) for n, v in after.items()), "updates change no weight")


def trains_what_it_learns(subject: Subject) -> None:
    """Every parameter of its own gets a gradient in every update."""
    updater = made(small_updater(recipe_of(subject)), range(1))
    without = [n for n, p in updater.inner.weighting.named_parameters() if p.grad is None]
    require(not without, f"no gradient reaches {', '.join(without)}: it would stay untrained")


def bears_a_term_without_labels(subject: Subject) -> None:
    """An update in which a term has no label at all is finite."""
    sparse = attrs.evolve(recipe_of(subject), data=SmallData(sparse=True))
    updater = small_updater(sparse)
    made(updater, range(updater.batches.per_epoch))  # one of these has the labelled sample
    state = {**tensors_of(updater.inner.model), **tensors_of(updater.inner.weighting)}
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    require(not broken, f"a term without labels makes {', '.join(broken)} not finite")


def goes_on_where_it_stopped(subject: Subject) -> None:
    """Saved after some updates and loaded into a new process, it takes the very same next ones."""
    whole = made(small_updater(recipe_of(subject)), range(2 * UPDATES))
    half = made(small_updater(recipe_of(subject)), range(UPDATES))
    other = small_updater(recipe_of(subject))
    other.inner.load_state_dict(tensors_of(half.inner), strict=True)
    restore_optimizer(other.optimizer, optimizer_state(half.optimizer))
    made(other, range(UPDATES, 2 * UPDATES))
    different = _different(tensors_of(whole.inner), tensors_of(other.inner), exact=True)
    require(not different, f"after a stop it goes another way: {different}; keep state in buffers")


def keeps_no_graph(subject: Subject) -> None:
    """It holds on to nothing of a step: the memory of training does not grow."""
    updater = made(small_updater(recipe_of(subject)), range(2))
    gc.freeze()  # what is here already need not be counted: the collector leaves it out
    try:
        before = _new_tensors(made(updater, range(2, 2 + UPDATES)))
        after = _new_tensors(made(updater, range(2 + UPDATES, 2 + 2 * UPDATES)))
    finally:
        gc.unfreeze()
    require(after < before + UPDATES, f"{UPDATES} updates leave {after - before} tensors behind")


def _new_tensors(_: Updater) -> int:
    """How many tensors are alive of those made since the collector was frozen."""
    gc.collect()
    return sum(issubclass(type(value), Tensor) for value in gc.get_objects())


def bears_one_task(subject: Subject) -> None:
    """With one task it trains, or says beforehand that it cannot."""
    with_one_task(recipe_of(subject))


def with_one_task(recipe: Recipe) -> None:
    """Train what `recipe` describes with one of its tasks, unless it says that it cannot."""
    recipe = attrs.evolve(recipe, tasks={"kind": recipe.tasks["kind"]})
    said = recipe.problems()
    require(all(isinstance(problem, Problem) for problem in said), "`problems` gives no Problem")
    if not said:
        made(small_updater(recipe), range(2))


def adds_up_over_micro_batches(subject: Subject) -> None:
    """A weighting of losses makes of two half batches the update that it makes of the whole."""
    recipe = recipe_of(subject)
    if not isinstance(small_updater(recipe).inner.weighting, LossWeighting):
        return
    halves = attrs.evolve(recipe, train=attrs.evolve(recipe.train, accumulate=2))
    one, two = (made(small_updater(each), range(UPDATES)) for each in (recipe, halves))
    different = _different(tensors_of(one.inner), tensors_of(two.inner))
    require(not different, f"in two micro-batches it goes another way: {different}")


def trains_alike_on_two_ranks(subject: Subject) -> None:
    """Two processes that share each batch make the updates that one makes, and stay alike."""
    alone = tensors_of(made(small_updater(recipe_of(subject)), range(UPDATES)).inner)
    found = _on_two_ranks(subject)
    require(isinstance(found, list), f"two processes cannot train it: {found}")
    assert isinstance(found, list)
    between = _different(found[0], found[1], exact=True)
    require(not between, f"the ranks drift apart: {between}")
    different = _different(alone, found[0])
    require(not different, f"two processes go another way than one: {different}")


def _on_two_ranks(subject: Subject) -> list[Mapping[str, Tensor]] | str:
    """The state after some updates on each rank, or what went wrong; one run for all subjects."""
    if "two ranks" not in subject.answers:
        everyone = [s for s in subject.others or (subject,) if s.plural == subject.plural]
        subject.answers["two ranks"] = _train_on_two_ranks({s.label: s.value for s in everyone})
    found: list[Mapping[str, Tensor]] | str = subject.answers["two ranks"][subject.label]
    return found


def _train_on_two_ranks(
    values: Mapping[str, Weighting],
) -> Mapping[str, list[Mapping[str, Tensor]] | str]:
    from mtlkit.testing.two_ranks import train_all

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=train_all, args=(values, folder, rank)) for rank in (0, 1)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        found: dict[str, list[Mapping[str, Tensor]] | str] = {}
        for number, label in enumerate(values):
            paths = [folder / f"{number}.{rank}" for rank in (0, 1)]
            errors = [path.with_suffix(f"{path.suffix}.error") for path in paths]
            told = [error.read_text(encoding="utf-8") for error in errors if error.exists()]
            if all(path.exists() for path in paths):
                found[label] = [load_file(path) for path in paths]
            else:
                found[label] = "; ".join(told) or "a process ended without a word"
        return found


def _different(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], *, exact: bool = False
) -> str:
    """The tensors in which two states differ; empty where they are alike."""
    if set(first) != set(second):
        return "their tensors have different names"
    close = torch.equal if exact else _close
    return ", ".join(name for name in first if not close(first[name], second[name]))


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one.float(), other.float(), rtol=1e-3, atol=1e-5)


def heeds_no_order_of_tasks(subject: Subject) -> None:
    """Tasks are told apart by what they are: in another order they are trained alike."""
    recipe = recipe_of(subject)
    turned = attrs.evolve(recipe, tasks=dict(reversed(list(recipe.tasks.items()))))
    one, other = small_updater(recipe), small_updater(turned)
    other.inner.model.load_state_dict(one.inner.model.state_dict(), strict=True)
    first, second = (_trained_and_told(each) for each in (one, other))
    different = _different(first, second)
    require(not different, f"with the tasks in another order it goes another way: {different}")


def _trained_and_told(updater: Updater) -> Mapping[str, Tensor]:
    """The model after some updates, and the weight that was told of each term."""
    state = tensors_of(made(updater, range(UPDATES)).inner.model)
    _, weights = updater.meter.read()
    return {**state, **{f"the weight of {n}": torch.tensor(w) for n, w in weights.items()}}


def is_free_of_scales_where_it_says_so(subject: Subject) -> None:
    """Where `scale_free` says so, no unit of a loss changes the update of what is shared."""
    if not subject.value.scale_free:
        return
    first, second = (_shared_after(subject, factor) for factor in (1.0, 10.0))
    different = _different(first, second)
    require(not different, f"ten times the loss of a task trains otherwise: {different}")


def _shared_after(subject: Subject, factor: float) -> Mapping[str, Tensor]:
    """What tasks share, after an update in which the losses of one are multiplied.

    A second update would see heads that the first one trained in another unit.
    """
    updater = small_updater(recipe_of(subject))
    head = updater.inner.model.head("side")
    with mock.patch.object(head, "loss", _Times(head.loss, factor)):
        made(updater, range(1))
    shared = updater.inner.model.router.parameters()
    return {str(place): p.detach() for place, p in enumerate(shared)}


@attrs.frozen
class _Times:
    """A loss in another unit."""

    loss: Callable[[Tensor, Tensor], Tensor]
    factor: float

    def __call__(self, features: Tensor, target: Tensor) -> Tensor:
        return self.loss(features, target) * self.factor


OPERATORS = 3000
"""How many operators an update of the small world may take; of `equal` they are 400."""


def takes_few_operators(subject: Subject) -> None:
    """An update takes a bounded number of operators, and later ones no more than the first.

    Counted, since times on a shared machine tell little; each operator costs some microseconds.
    """
    updater = made(small_updater(recipe_of(subject)), range(2))
    early, late = (_operators(updater, range(at, at + UPDATES)) for at in (2, 2 + UPDATES))
    require(early <= OPERATORS, f"an update takes {early} operators; at most {OPERATORS} may be")
    require(late <= early * 1.1, f"updates take more and more operators: {early}, then {late}")


def _operators(updater: Updater, updates: range) -> int:
    """The operators of an update, on average."""
    with Operators() as counter:
        made(updater, updates)
    calls: int = counter.calls
    return calls // len(updates)


CHECKS = checks(
    is_of_one_kind,
    tells_its_weights,
    trains_what_it_learns,
    bears_a_term_without_labels,
    goes_on_where_it_stopped,
    keeps_no_graph,
    bears_one_task,
    adds_up_over_micro_batches,
    trains_alike_on_two_ranks,
) + checks(
    heeds_no_order_of_tasks,
    is_free_of_scales_where_it_says_so,
    takes_few_operators,
    since=(1, 2),
)
