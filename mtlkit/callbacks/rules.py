"""Rules of callbacks that a recipe is checked by: moved parameters, and rates of optimizers."""

from collections.abc import Iterator, Sequence

from mtlkit.callbacks.base import Callback
from mtlkit.component import Problem
from mtlkit.optim.base import Optimizer, Schedule
from mtlkit.optim.constant import Constant
from mtlkit.weightings.base import Weighting


def moving_problems(
    weighting: Weighting, precision: str, callbacks: Sequence[Callback]
) -> Iterator[Problem]:
    """Yield what does not fit gradients at other parameters than those that are updated."""
    moving = [index for index, callback in enumerate(callbacks) if callback.moves_parameters]
    if not moving:
        return
    first = moving[0]
    kind = type(callbacks[first]).__name__
    for index in moving[1:]:
        message = f"moves the parameters that callbacks.{first} moves; leave one of them out"
        yield Problem(("callbacks", str(index)), message)
    if weighting.compares_steps:
        message = f"{kind} computes gradients at moved parameters, but {type(weighting).__name__} "
        message += "compares those before and after a step; leave one of them out"
        yield Problem(("callbacks", str(first)), message)
    if precision == "fp16":
        message = f"a gradient beyond float16 has no direction in which {kind} could move, got fp16"
        yield Problem(("train", "precision"), f"{message}; use `bf16` or `fp32`")


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
