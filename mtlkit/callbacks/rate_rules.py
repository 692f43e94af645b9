"""Rules of what may change the rates of an optimizer, by which a recipe is checked."""

from collections.abc import Iterator, Sequence

from mtlkit.callbacks.base import Callback
from mtlkit.component import Problem
from mtlkit.optim.base import Optimizer, Schedule
from mtlkit.optim.constant import Constant


def rate_problems(
    optimizer: Optimizer, schedule: Schedule, callbacks: Sequence[Callback]
) -> Iterator[Problem]:
    """Yield what changes the rates of an optimizer that replaces schedules."""
    if not optimizer.replaces_schedule:
        return
    kind = type(optimizer).__name__
    if schedule != Constant():
        got = type(schedule).__name__ + (" with `warmup_steps`" if schedule.warmup_steps else "")
        message = f"got {got}, expected constant rates for {kind}, which averages weights instead; "
        message += "remove the schedule, and warm up by an option of the optimizer"
        yield Problem(("schedule",), message)
    for index, callback in enumerate(callbacks):
        if callback.sets_rates:
            message = f"{type(callback).__name__} changes the rates of {kind}, which needs no "
            yield Problem(("callbacks", str(index)), f"{message}schedule; remove it")
