"""Calls of an optimizer that do not import torch's compiler.

`torch.optim` marks its methods for `torch.compile`, and imports the compiler on the first call:
1.3 s of CPU time and 150 MiB, which a run that compiles nothing does not need. If the compiler is
imported already, the methods are called as they are.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.optim import Optimizer, optimizer

_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
_GLOBAL_HOOKS = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
_MARK = "__dynamo_disable"
"""The attribute in which torch keeps the marked version of a method, once it has made one."""


@contextmanager
def without_compiler() -> Iterator[None]:
    """Call methods of optimizers without the marks for the compiler; restore them at the end.

    >>> with without_compiler():
    ...     sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    ...     sgd.zero_grad()
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    wrapped = (getattr(method, "__wrapped__", None) for method in vars(Optimizer).values())
    methods = [method for method in wrapped if method is not None and _MARK not in vars(method)]
    for method in methods:
        setattr(method, _MARK, method)
    try:
        yield
    finally:
        for method in methods:
            delattr(method, _MARK)


def set_training(chosen: Optimizer, training: bool) -> None:
    """Give the parameters the weights for training or evaluation, if `chosen` has both.

    Such an optimizer has the methods `train` and `eval`. Its state contains which of the weights
    the parameters have: a call for the same again has no effect.
    """
    change: Any = getattr(chosen, "train" if training else "eval", None)
    if change is not None:
        change()


@contextmanager
def evaluation_weights(chosen: Optimizer) -> Iterator[None]:
    """Give the parameters the weights for evaluation, and those for training afterwards."""
    set_training(chosen, False)
    try:
        yield
    finally:
        set_training(chosen, True)


def clear_gradients(chosen: Optimizer) -> None:
    """Set the gradients of all parameters to None, as `zero_grad` does.

    Torch's own method is not called, because its mark and its profiling cost more than its work.
    """
    if type(chosen).zero_grad is not Optimizer.zero_grad or "zero_grad" in vars(chosen):
        with without_compiler():
            chosen.zero_grad()
        return
    for group in chosen.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def take_step(chosen: Optimizer) -> None:
    """Update the parameters of the optimizer `chosen`, as its method `step` does.

    Hooks of a step and differentiable steps need torch's wrappers, which import the compiler.
    """
    if "torch._dynamo" in sys.modules or _needs_wrappers(chosen):
        chosen.step()
        return
    with torch.no_grad():
        _bare(type(chosen).step)(chosen)


@cache
def _bare(step: Any) -> Any:
    """Return the method `step` of an optimizer without torch's wrappers."""
    return inspect.unwrap(step, stop=lambda f: f.__globals__ is not vars(optimizer))


def _needs_wrappers(chosen: Optimizer) -> bool:
    """Return whether hooks are registered, or the step is replaced or differentiable."""
    hooks = [getattr(chosen, name, True) for name in _HOOKS]
    hooks += [getattr(optimizer, name, True) for name in _GLOBAL_HOOKS]
    replaced = "step" in vars(chosen)  # by a scheduler or a plugin
    return replaced or bool(chosen.defaults.get("differentiable")) or any(map(bool, hooks))
