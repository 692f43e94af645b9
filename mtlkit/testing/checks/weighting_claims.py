"""Checks of what the options of a weighting state of it."""

from collections.abc import Mapping
from unittest import mock

from torch import Tensor

from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.checks.weightings import different_tensors, recipe_of, run_updates
from mtlkit.testing.small_data import small_updater
from mtlkit.weightings.kinds import AfterStep, LookaheadWeighting


def is_scale_free_if_declared(subject: Subject) -> None:
    """If `scale_free` is true, the scale of a loss does not change the shared parameters."""
    if not subject.value.scale_free:
        return
    first, second = (_shared_after(subject, factor) for factor in (1.0, 10.0))
    different = different_tensors(first, second)
    require(not different, f"ten times the loss of a task changes {different}")


def _shared_after(subject: Subject, factor: float) -> Mapping[str, Tensor]:
    """Return the shared parameters after an update in which the loss of one task is scaled.

    One update only: it trains the head of the task at the other scale.
    """
    updater = small_updater(recipe_of(subject))
    head = updater.inner.model.head("side")
    loss = head.loss
    with mock.patch.object(head, "loss", lambda *inputs: factor * loss(*inputs)):
        run_updates(updater, range(1))
    shared = updater.inner.model.router.parameters()
    return {str(i): p.detach() for i, p in enumerate(shared)}


def declares_comparisons(subject: Subject) -> None:
    """If it compares losses or gradients before and after a step, `compares_steps` is true."""
    built = small_updater(recipe_of(subject)).inner.weighting
    if isinstance(built, AfterStep | LookaheadWeighting):
        require(
            subject.value.compares_steps,
            f"{type(built).__name__} compares steps, but `compares_steps` of "
            f"{type(subject.value).__name__} is false; set it to True",
        )


CHECKS = checks_of(__name__)
