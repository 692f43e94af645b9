"""Checks of callbacks."""

import contextlib
import tempfile
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.recipe import Recipe
from mtlkit.task_types import Role
from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.small_data import small_recipe, small_training, small_updater
from mtlkit.training.batching.batches import seed_step
from mtlkit.training.checkpoint import newest_checkpoint, tensors_of
from mtlkit.training.loop import Training
from mtlkit.training.progress import Silence, TrainingProgress

STOP = 5
"""The step at which a run is stopped, between two epochs."""


class _StoppedError(Exception):
    """The stop of a run by its progress."""


class _Stopping(Silence):
    def trained(self, progress: TrainingProgress) -> None:
        if progress.step == STOP:
            raise _StoppedError


def _recipe(subject: Subject) -> Recipe:
    recipe = subject.example.recipe or small_recipe()
    main = [task for task, value in recipe.tasks.items() if value.role is Role.MAIN]
    require(len(main) == 1, "the kit's recipe needs one main task")
    train = attrs.evolve(recipe.train, checkpoint_every=1, loggers=())
    return attrs.evolve(recipe, train=train, callbacks=(subject.value,))


def _trained(training: Training) -> dict[str, Tensor]:
    training.run()
    tensors = {**tensors_of(training.model), **tensors_of(training.callbacks)}
    return {name: value.clone() for name, value in tensors.items()}


def returns_a_callback_state(subject: Subject) -> None:
    """Built in a run, it is a CallbackState whose state consists of tensors."""
    tensors_of(small_updater(_recipe(subject)).callbacks)


def draws_no_random_numbers(subject: Subject) -> None:
    """It leaves torch's random numbers as they are, so that a run trains the same batches."""
    updater = small_updater(_recipe(subject))
    model = updater.inner.model
    for step in range(3):
        seed_step(updater.context.recipe.seed, step, 0, updater.context.device)  # as an update does
        before = torch.get_rng_state()
        updater.callbacks.before_update(step)
        with updater.callbacks.around_backward(step):
            require(torch.equal(before, torch.get_rng_state()), "it draws random numbers")
        updater.callbacks.after_update(step + 1)
    updater.callbacks.after_evaluation(3, model, {"kind/accuracy": 0.5, "kind/loss": 1.0})
    updater.callbacks.finish()
    require(torch.equal(before, torch.get_rng_state()), "it draws random numbers")


def declares_that_it_moves_parameters(subject: Subject) -> None:
    """If `around_backward` moves parameters, `moves_parameters` is true."""
    moved, _ = _moved_parameters(subject)
    require(
        not moved or subject.value.moves_parameters,
        f"it moves {moved}, but `moves_parameters` is false; set it to True",
    )


def restores_moved_parameters(subject: Subject) -> None:
    """At the end of `around_backward` the parameters are those of its start, to the bit."""
    _, left = _moved_parameters(subject)
    require(not left, f"it leaves {left} at other values than before")


def _moved_parameters(subject: Subject) -> tuple[str, str]:
    """Return names of parameters that differ from the start: in an `around_backward`, and after."""
    updater = small_updater(_recipe(subject))
    before = {name: p.detach().clone() for name, p in updater.inner.named_parameters()}

    def different() -> str:
        now = updater.inner.named_parameters()
        return ", ".join([name for name, p in now if not torch.equal(p, before[name])][:3])

    updater.callbacks.before_update(0)
    with updater.callbacks.around_backward(0):
        moved = different()
    return moved, different()


def resumes_exactly(subject: Subject) -> None:
    """A run that is stopped and resumed ends with the same model and state."""
    recipe = _recipe(subject)
    with tempfile.TemporaryDirectory() as name:
        whole = _trained(small_training(recipe, Path(name) / "whole"))
        folder = Path(name) / "stopped"
        stopped = small_training(recipe, folder, _Stopping())
        with contextlib.suppress(_StoppedError):
            stopped.run()
        resumed = small_training(recipe, folder)
        checkpoint = newest_checkpoint(folder)
        assert checkpoint is not None
        resumed.restore(checkpoint)
        again = _trained(resumed)
    different = [
        key
        for key, value in whole.items()
        if not torch.equal(value.nan_to_num(), again[key].nan_to_num())
    ]
    require(not different, f"after a stop, {', '.join(different[:3])} differ")


CHECKS = checks_of(__name__)
