"""Checks that valid problems, methods and searches are compatible."""

from collections.abc import Iterator, Mapping

import attrs

from mtlkit.comparison.spec.comparison import Compared, Comparison, Method
from mtlkit.comparison.spec.recipes import for_trial, recipe_of, with_settings
from mtlkit.component import Problem
from mtlkit.errors import RecipeError, did_you_mean
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io.structuring import options_of
from mtlkit.runs.tuning.search import Searched


def mistakes_between(comparison: Comparison, catalog: Catalog) -> Iterator[Problem]:
    """Yield the mistakes; their paths start from ``problems``, ``methods`` or ``tuning``."""
    tuning = comparison.tuning
    if not tuning.searches:
        searches: list[tuple[str, ...]] = [("tuning", "search")] if tuning.search else []
        searches += [
            ("methods", method.name, "search") for method in comparison.methods if method.search
        ]
        for path in searches:
            yield Problem(path, f"nothing is searched with `trials: {tuning.trials}`; expected 2 "
                                f"or more")  # fmt: skip
    for name, problem in comparison.problems.items():
        yield from _of_tasks(name, problem)
        yield from _of_primary_metrics(name, problem)
        if len(problem.recipe.tasks) < 2:
            continue
        for method in comparison.methods:
            # the shared search is checked once, with the first method
            shared = tuning.search if method is comparison.methods[0] else {}
            yield from _of_method(name, problem, method, shared, catalog)


def _of_tasks(name: str, problem: Compared) -> Iterator[Problem]:
    location = ("problems", name, "recipe")
    tasks = problem.recipe.tasks
    if len(tasks) < 2:
        yield Problem(location, f"has the task {', '.join(tasks)} alone; methods weigh two or more")
    for task in tasks:
        if "/" in task:
            yield Problem(
                location, f"the task {task!r} cannot name a folder; expected one without '/'"
            )


def _of_primary_metrics(name: str, problem: Compared) -> Iterator[Problem]:
    tasks = problem.recipe.tasks
    prefixes = [evaluator.prefix for evaluator in problem.recipe.evaluators]
    for task, primary in problem.primary_metrics.items():
        location = ("problems", name, "primary_metrics", task)
        if task not in tasks:
            hint = did_you_mean(task, tasks) or f"; the tasks are {', '.join(tasks)}"
            yield Problem(location, f"no task named {task!r}{hint}")
            continue
        owners, owner = [*tasks, *prefixes], primary.metric.partition("/")[0]
        if "" not in owners and not primary.metric.startswith(tuple(f"{one}/" for one in owners)):
            known = ", ".join(f"{one}/..." for one in owners)
            hint = did_you_mean(owner, owners) or f"; expected one of {known}"
            yield Problem(location, f"nothing measures {primary.metric!r}{hint}")
            continue
        try:
            higher = primary.direction(tasks)
        except ValueError as cause:
            yield Problem(location, f"{owner}: {cause}")
            continue
        if primary.higher_is_better not in (None, higher):
            word = "higher" if higher else "lower"
            yield Problem(
                location, f"{primary.metric} is better if {word}; leave out `higher_is_better`"
            )


def _of_method(
    name: str, problem: Compared, method: Method, shared: Mapping[str, Searched], catalog: Catalog
) -> Iterator[Problem]:
    location = ("methods", method.name)
    tasks = problem.recipe.tasks if method.alone else (None,)
    for task in tasks:
        recipe = recipe_of(problem.recipe, method, task)
        wrong = recipe.problems(catalog.op_table)
        if wrong:
            yield Problem(location, f"{method.name!r} on the problem {name!r}: {wrong[0]}")
            return
        searches = {("tuning", "search"): shared, (*location, "search"): method.search}
        for path, space in searches.items():
            for option, searched in space.items():
                for message in _of_search(recipe, option, searched, catalog):
                    yield Problem((*path, option), f"on the problem {name!r}: {message}")


def _of_search(recipe: Recipe, option: str, searched: Searched, catalog: Catalog) -> Iterator[str]:
    """Yield the first reason why an end of the searched range cannot be set in the recipe."""
    unknown = _unknown(recipe, option)
    if unknown:
        yield unknown
        return
    for value in searched.ends:
        try:
            for_trial(with_settings(recipe, {option: value}, catalog), recipe.seed).check(
                catalog.op_table
            )
        except RecipeError as cause:
            yield cause.lines[0].partition(": ")[2]
            return


def _unknown(recipe: Recipe, path: str) -> str:
    """Return a message about the first unknown step of `path` in the recipe; empty if all exist."""
    value: object = recipe
    for step in path.split("."):
        if isinstance(value, Mapping):
            known = list(value)
        elif attrs.has(type(value)):
            known = list(options_of(type(value)))
        else:
            return ""  # a value without parts; setting it raises an error
        if step not in known:
            hint = did_you_mean(step, known) or f"; expected one of {', '.join(known)}"
            return f"{path}: there is no {step!r}{hint}"
        value = value[step] if isinstance(value, Mapping) else getattr(value, step)
    return ""
