"""Whether problems, methods and searches, each right by itself, fit together."""

from collections.abc import Iterator, Mapping

from mtlkit.catalog import Catalog
from mtlkit.compare.comparison import Compared, Comparison, Method
from mtlkit.compare.recipes import for_trial, recipe_of, with_settings
from mtlkit.config import Problem
from mtlkit.errors import RecipeError, did_you_mean
from mtlkit.recipe import Recipe
from mtlkit.run.proposals import Searched
from mtlkit.vocabulary import Kind


def mistakes_between(comparison: Comparison, catalog: Catalog) -> Iterator[Problem]:
    """Why the comparison cannot be run; paths start from ``problems``, ``methods`` or ``tuning``.

    Each mistake is told once, of the first problem where it shows.
    """
    tuning = comparison.tuning
    if not tuning.searches:
        asked = [("tuning", "search")] if tuning.search else []
        asked += [("methods", method.name, "search") for method in comparison.methods
                  if method.search]  # fmt: skip
        for path in asked:
            yield Problem(path, f"nothing is searched with `trials: {tuning.trials}`; expected 2 "
                                f"or more")  # fmt: skip
    found: dict[tuple[tuple[str, ...], str], Problem] = {}
    for name, problem in comparison.problems.items():
        for mistake in [*_of_tasks(name, problem), *_of_judge(name, problem)]:
            found[mistake.path, mistake.message] = mistake
        if len(problem.recipe.tasks) < 2:
            continue
        for method in comparison.methods:
            for mistake in _of_method(name, problem, method, tuning.search, catalog):
                key = mistake.message if mistake.path[0] == "tuning" else f"{name}"
                found.setdefault((mistake.path, key), mistake)
    yield from found.values()


def _of_tasks(name: str, problem: Compared) -> Iterator[Problem]:
    here = ("problems", name, "recipe")
    tasks = problem.recipe.tasks
    if len(tasks) < 2:
        yield Problem(here, f"has the task {', '.join(tasks)} alone; methods weigh two or more")
    for task in tasks:
        if "/" in task:
            yield Problem(here, f"the task {task!r} cannot name a folder; expected one without '/'")


def _of_judge(name: str, problem: Compared) -> Iterator[Problem]:
    tasks = problem.recipe.tasks
    prefixes = [evaluator.prefix for evaluator in problem.recipe.evaluation]
    for task, judge in problem.judge.items():
        here = ("problems", name, "judge", task)
        if task not in tasks:
            hint = did_you_mean(task, tasks) or f"; the tasks are {', '.join(tasks)}"
            yield Problem(here, f"no task named {task!r}{hint}")
            continue
        owner = judge.metric.partition("/")[0]
        if "" not in prefixes and owner not in (*tasks, *prefixes):
            known = ", ".join([*tasks, *prefixes])
            hint = did_you_mean(owner, [*tasks, *prefixes]) or f"; expected one of {known}"
            yield Problem(here, f"nothing measures {judge.metric!r}{hint}")


def undirected(problem: Compared, task: str, metric: str) -> bool:
    """Whether it must be said which way `metric` is better: of a loss, or of a number."""
    known = problem.recipe.tasks.get(task)
    return metric.endswith("/loss") or (known is not None and known.head.kind is Kind.REGRESSION)


def _of_method(
    name: str,
    problem: Compared,
    method: Method,
    shared: Mapping[str, Searched],
    catalog: Catalog,
) -> Iterator[Problem]:
    here = ("methods", method.name)
    tasks = problem.recipe.tasks if method.alone else (None,)
    for task in tasks:
        recipe = recipe_of(problem.recipe, method, task)
        wrong = recipe.problems()
        if wrong:
            yield Problem(here, f"on the problem {name!r}: {wrong[0]}")
            return
        searches = {("tuning", "search"): shared, (*here, "search"): method.search}
        for path, space in searches.items():
            for option, searched in space.items():
                for message in _of_search(recipe, option, searched, catalog):
                    yield Problem((*path, option), f"on the problem {name!r}: {message}")


def _of_search(recipe: Recipe, option: str, searched: Searched, catalog: Catalog) -> Iterator[str]:
    """Why the ends of what is searched cannot be set in the recipe; the first reason."""
    for value in searched.ends:
        try:
            for_trial(with_settings(recipe, {option: value}, catalog), recipe.seed).check()
        except RecipeError as cause:
            yield cause.lines[0].partition(": ")[2]
            return
