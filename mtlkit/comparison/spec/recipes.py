"""Recipes of the runs of a comparison: those of its problems with the settings of a method."""

from collections.abc import Mapping

import attrs

from mtlkit.comparison.spec.comparison import BOUNDS, WEIGHTS, Method, Tuning
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.recipe_io.dump import plain_text
from mtlkit.routers.shared import Shared
from mtlkit.runs.tuning.search import Searched, Settings, Value
from mtlkit.runs.tuning.tune import searched_losses
from mtlkit.task import loss_terms
from mtlkit.weightings.fixed import Fixed


def recipe_of(recipe: Recipe, method: Method, task: str | None = None) -> Recipe:
    """Return the problem's `recipe` for `method`, before the search.

    With `task`, a network for this task alone: without evaluators that need other tasks, and with
    hard sharing if the router needs them.
    """
    if task is None:
        return attrs.evolve(recipe, weighting=method.weighting)
    tasks = {task: recipe.tasks[task]}
    terms = loss_terms(tasks)
    fits = not list(recipe.router.problems(terms))
    return attrs.evolve(
        recipe,
        tasks=tasks,
        weighting=method.weighting,
        router=recipe.router if fits else Shared(),
        evaluators=tuple(
            evaluator for evaluator in recipe.evaluators if not list(evaluator.problems(terms))
        ),
    )


def space_of(recipe: Recipe, method: Method, tuning: Tuning) -> dict[str, Searched]:
    """Return the search space of `method`; the part that all methods share comes first."""
    space = {**tuning.search, **method.search}
    if method.searches_weights:
        space |= {f"{WEIGHTS}{name}": BOUNDS for name in searched_losses(recipe.terms())}
    return space


def own_settings(recipe: Recipe, space: Mapping[str, Searched]) -> dict[str, Value]:
    """Return the values that `recipe` itself sets at the paths in `space`."""
    values = {path: 1.0 if path.startswith(WEIGHTS) else value_at(recipe, path) for path in space}
    return {path: value for path, value in values.items() if value is not None}


def value_at(recipe: Recipe, path: str) -> Value | None:
    """Return the plain value at `path`, such as ``optimizer.lr``; None if there is none."""
    value: object = recipe
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif attrs.has(type(value)):
            value = getattr(value, step, None)
        else:
            return None
    return value if isinstance(value, float | int | str | bool) else None


def with_settings(recipe: Recipe, settings: Settings, catalog: Catalog) -> Recipe:
    """Return `recipe` with values set by their paths; `RecipeError` if one cannot be set."""
    weights = {
        path.removeprefix(WEIGHTS): float(value)
        for path, value in settings.items()
        if path.startswith(WEIGHTS)
    }
    others = [
        f"{path}={plain_text(value)}"
        for path, value in settings.items()
        if not path.startswith(WEIGHTS) and value_at(recipe, path) != value
    ]
    if others:
        recipe = parse_recipe(dump_recipe(recipe, catalog), "the recipe", catalog, others)
    if weights:
        recipe = attrs.evolve(recipe, weighting=Fixed(weights=weights))
    return recipe


def for_trial(recipe: Recipe, seed: int) -> Recipe:
    """Return the recipe of a trial, which does not read the test split."""
    train = attrs.evolve(recipe.train, test=False)
    return attrs.evolve(recipe, seed=seed, evaluators=(), train=train)


def for_final(recipe: Recipe, seed: int, epochs: int | None = None) -> Recipe:
    """Return the recipe of a final run; `epochs` replaces its number of epochs."""
    train = attrs.evolve(recipe.train, test=True, epochs=epochs or recipe.train.epochs)
    return attrs.evolve(recipe, seed=seed, train=train)
