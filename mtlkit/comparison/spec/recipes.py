"""The recipe of a run of the comparison: that of its problem, with what the method sets."""

from collections.abc import Mapping

import attrs

from mtlkit.comparison.spec.comparison import BOUNDS, WEIGHTS, Method, Tuning
from mtlkit.component import Component
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.recipe_io.dump import plain_text
from mtlkit.routers.shared import Shared
from mtlkit.runs.search import Searched, Settings, Value
from mtlkit.runs.tune import searched_losses
from mtlkit.task import loss_terms
from mtlkit.weightings.fixed import Fixed


def recipe_of(recipe: Recipe, method: Method, task: str | None = None) -> Recipe:
    """The problem's `recipe` as `method` trains it, before anything is searched.

    With `task`, a network for this task alone: without evaluators that ask for others, and with
    hard sharing where the router does.
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
        evaluators=tuple(each for each in recipe.evaluators if not list(each.problems(terms))),
    )


def space_of(recipe: Recipe, method: Method, tuning: Tuning) -> dict[str, Searched]:
    """Everything that is searched for `method`, what all methods share at the start."""
    space = {**tuning.search, **method.search}
    if method.searches_weights:
        space |= {f"{WEIGHTS}{name}": BOUNDS for name in searched_losses(recipe.terms())}
    return space


def own_settings(recipe: Recipe, space: Mapping[str, Searched]) -> dict[str, Value]:
    """What `recipe` itself says of the paths in `space`; nothing where it leaves them open."""
    found = {path: value_at(recipe, path) for path in space if not path.startswith(WEIGHTS)}
    weights = {path: 1.0 for path in space if path.startswith(WEIGHTS)}
    return {path: value for path, value in found.items() if value is not None} | weights


def value_at(recipe: Recipe, path: str) -> Value | None:
    """The value at `path` such as ``optimizer.lr``; None where there is no such plain value."""
    found: object = recipe
    for step in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, Component) or attrs.has(type(found)):
            found = getattr(found, step, None)
        else:
            return None
    return found if isinstance(found, float | int | str | bool) else None


def with_settings(recipe: Recipe, settings: Settings, catalog: Catalog) -> Recipe:
    """`recipe` with values set by their paths; `RecipeError` where one cannot be."""
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
    """The recipe of a trial: it never sees the test split."""
    train = attrs.evolve(recipe.train, test=False)
    return attrs.evolve(recipe, seed=seed, evaluators=(), train=train)


def for_final(recipe: Recipe, seed: int, epochs: int | None = None) -> Recipe:
    """The recipe of a final run, for so many `epochs` where they are not its own."""
    train = attrs.evolve(recipe.train, test=True, epochs=epochs or recipe.train.epochs)
    return attrs.evolve(recipe, seed=seed, train=train)
