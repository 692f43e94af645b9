"""Rules of what processes can divide among them, by which a recipe is checked."""

from collections.abc import Iterator
from typing import Any

from mtlkit.component import Problem
from mtlkit.weightings.base import GradientLocation, GradientWeighting

_WHOLE = "whole parameters or gradients"


def sharding_problems(recipe: Any) -> Iterator[Problem]:
    """Yield what does not work with the heads and the backbone that a `Recipe` divides."""
    optimizer, callbacks, train = recipe.optimizer, recipe.callbacks, recipe.train
    heads = {name: task.head for name, task in recipe.tasks.items() if task.head.shards}
    backbone = train.shard == "backbone"
    if not (heads or backbone):
        return
    kind, got = type(optimizer).__name__, "a head with `shard`" if heads else "`train.shard`"
    if not optimizer.elementwise:
        yield Problem(("optimizer",), f"{kind} may need {_WHOLE}, got {got}; use `adamw`")
    if train.precision == "fp16":
        message = f"each process would skip other updates, got {got}; use `bf16`"
        yield Problem(("train", "precision"), message)
    for index, callback in enumerate(callbacks):
        if callback.reads_gradients or (backbone and callback.reads_parameters):
            message = f"{type(callback).__name__} needs {_WHOLE}, got {got}; leave it out"
            yield Problem(("callbacks", str(index)), message)
    terms = [term.task for term in recipe.terms()]
    for name, head in heads.items():
        path = ("tasks", name, "head")
        if terms.count(name) > 1:
            message = "got branches of this task, expected none: a branch has no shards"
            yield Problem((*path, "shard"), message)
        if head.updates_rows and optimizer.row_rule() is None:
            message = f"{kind} cannot update single rows; use `sgd`, `adam` or `adamw`"
            yield Problem((*path, "lazy"), message)
    if backbone:
        yield from _backbone_problems(recipe)


def _backbone_problems(recipe: Any) -> Iterator[Problem]:
    weighting, got = recipe.weighting, "got `train.shard: backbone`"
    if isinstance(weighting, GradientWeighting) and weighting.at is not GradientLocation.FEATURES:
        message = f"{weighting.at.value} needs {_WHOLE}, {got}; use `at: features`"
        yield Problem(("weighting", "at"), message)
    if not recipe.router.calls_backbone:
        router = type(recipe.router).__name__
        yield Problem(("router",), f"{router} uses parts of the backbone, {got}; use `shared`")
    if recipe.train.checkpoint_activations:
        message = "got true with `shard: backbone`, which gathers by itself; use one of them"
        yield Problem(("train", "checkpoint_activations"), message)
