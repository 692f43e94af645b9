"""Rules of what processes can divide among them, by which a recipe is checked."""

from collections.abc import Iterator, Mapping, Sequence

from mtlkit.callbacks.base import Callback
from mtlkit.component import Problem
from mtlkit.heads.base import Head
from mtlkit.optim.base import Optimizer
from mtlkit.routers.base import Router
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import GradientLocation, GradientWeighting, Weighting

_WHOLE = "whole parameters or gradients"


def head_problems(
    heads: Mapping[str, Head],
    terms: Sequence[LossTerm],
    optimizer: Optimizer,
    callbacks: Sequence[Callback],
) -> Iterator[Problem]:
    """Yield what does not work with those of `heads` whose rows are divided among processes."""
    divided = {name: head for name, head in heads.items() if head.shards}
    if not divided:
        return
    kind = type(optimizer).__name__
    if not optimizer.elementwise:
        yield Problem(("optimizer",), f"{kind} may need {_WHOLE}, got a head with `shard`")
    for name, head in divided.items():
        path = ("tasks", name, "head")
        if sum(term.task == name for term in terms) > 1:
            message = "got branches of this task, expected none: a branch has no shards"
            yield Problem((*path, "shard"), message)
        if head.updates_rows and optimizer.row_rule() is None:
            message = f"{kind} cannot update single rows; use `sgd`, `adam` or `adamw`"
            yield Problem((*path, "lazy"), message)
    for index, callback in enumerate(callbacks):
        if callback.reads_gradients:
            message = f"{type(callback).__name__} reads {_WHOLE}, got a head with `shard`"
            yield Problem(("callbacks", str(index)), message)


def backbone_problems(
    weighting: Weighting, router: Router, optimizer: Optimizer, callbacks: Sequence[Callback]
) -> Iterator[Problem]:
    """Yield what does not work with a backbone that is divided among processes."""
    got = "got `train.shard: backbone`"
    if isinstance(weighting, GradientWeighting) and weighting.at is not GradientLocation.FEATURES:
        message = f"{weighting.at.value} needs {_WHOLE}, {got}; use `at: features`"
        yield Problem(("weighting", "at"), message)
    if not router.calls_backbone:
        message = f"{type(router).__name__} uses parts of the backbone, {got}; use `shared`"
        yield Problem(("router",), message)
    if not optimizer.elementwise:
        message = f"{type(optimizer).__name__} may need {_WHOLE}, {got}; use `adamw`"
        yield Problem(("optimizer",), message)
    for index, callback in enumerate(callbacks):
        if callback.reads_parameters:
            message = f"{type(callback).__name__} needs {_WHOLE}, {got}; leave it out"
            yield Problem(("callbacks", str(index)), message)
