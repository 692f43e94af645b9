"""Loading of a comparison from YAML, with all mistakes in it and in its recipes."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.spec.comparison import (
    BASELINES,
    EQUAL,
    Compared,
    Comparison,
    Method,
    PrimaryMetric,
    Tuning,
)
from mtlkit.comparison.spec.resources import Resources
from mtlkit.comparison.spec.validate import mistakes_between
from mtlkit.component import LARGEST_SEED, type_key
from mtlkit.component import Problem as Disagreement
from mtlkit.errors import RecipeError, did_you_mean
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe_io import load_recipe
from mtlkit.recipe_io.layers import read_text
from mtlkit.recipe_io.source_location import Mistake, RefusedError, SourceLocation, refuse
from mtlkit.recipe_io.structuring import new_converter
from mtlkit.recipe_io.yaml_nodes import entry, is_text, location, mapping, node_at, wrap
from mtlkit.recipe_io.yaml_reader import read_yaml
from mtlkit.runs.tuning.search import Searched
from mtlkit.weightings.base import Weighting

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,99}")
"""Valid names of problems and methods, which name the folders of their runs."""

MOST_SEEDS = 10_000
"""The largest number of seeds, far beyond what a comparison can train."""


@attrs.frozen(kw_only=True)
class ProblemEntry:
    """A problem as written in the file."""

    recipe: Path
    set: tuple[str, ...] = ()
    primary_metrics: Mapping[str, str | PrimaryMetric] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class WeightingEntry:
    """A weighting as written in its long form."""

    weighting: Weighting
    name: str
    search: Mapping[str, Searched] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class File:
    """The whole file."""

    problems: Mapping[str, ProblemEntry]
    weightings: tuple[WeightingEntry, ...] = ()
    seeds: int | tuple[int, ...] = 5
    tuning: Tuning = attrs.field(factory=Tuning)
    budgets: tuple[Budget, ...] = (Budget.EPOCHS,)
    without: Mapping[str, str] = attrs.field(factory=dict)
    resources: Resources = attrs.field(factory=Resources)


def load_comparison(path: Path, catalog: Catalog) -> Comparison:
    """Return the comparison in the YAML file at `path`; its relative paths start from its folder.

    Raises `RecipeError` with all mistakes at once, each with its location and path.
    """
    path = Path(path)
    try:
        tree = _written_out(read_yaml(read_text(path, "comparison"), str(path)), path)
        file: File = new_converter(catalog).structure(tree, File)
        mistakes = [*_mistakes(file, tree)]
        problems, lines = _problems(file, tree, path.parent, catalog)
        if mistakes or lines:
            raise RecipeError([*RefusedError(mistakes).lines(), *lines])
        comparison = Comparison(
            problems=problems,
            methods=_methods(file),
            seeds=_seeds(file),
            tuning=file.tuning,
            budgets=file.budgets,
            without=file.without,
            resources=file.resources,
        )
        between = [
            _located(file, tree, problem) for problem in mistakes_between(comparison, catalog)
        ]
        if between:
            raise RefusedError(between)
    except RefusedError as cause:
        raise RecipeError(cause.lines()) from None
    return comparison


def _written_out(tree: Node, path: Path) -> MappingNode:
    """Return the file with its short forms in their long ones, at the same locations."""
    if not isinstance(tree, MappingNode):
        raise refuse(
            SourceLocation(str(path)),
            "expected a comparison with keys such as `problems` and `weightings`",
        )
    return mapping(((key, _section(key.value, node)) for key, node in tree.value), tree.start_mark)


def _section(name: str, node: Node) -> Node:
    if name == "problems" and isinstance(node, MappingNode):
        pairs = (
            (key, wrap("recipe", value) if is_text(value) else value) for key, value in node.value
        )
        return mapping(pairs, node.start_mark)
    if name == "weightings" and isinstance(node, SequenceNode):
        return SequenceNode("", [_entry(item) for item in node.value], node.start_mark)
    return node


def _entry(node: Node) -> Node:
    """Return a weighting in its long form, named after its component if it has no name."""
    if is_text(node) or entry(node, type_key) is not None:
        node = wrap("weighting", node)
    if not isinstance(node, MappingNode) or entry(node, "name") is not None:
        return node
    component = entry(node, "weighting")
    if isinstance(component, MappingNode):
        component = entry(component, type_key)
    if not is_text(component):
        return node  # a mistake that the reader of components reports
    name = ScalarNode("", re.sub("[/@]", "-", component.value), component.start_mark)
    return mapping([*node.value, *wrap("name", name).value], node.start_mark)


def _mistakes(file: File, tree: MappingNode) -> Iterator[Mistake]:
    """Yield the mistakes in the file that do not depend on the recipes."""

    def at(message: str, *path: str) -> Mistake:
        return Mistake(location(node_at(tree, path)), message, path)

    if not file.problems:
        yield at("expected one problem or more, got none", "problems")
    for name in file.problems:
        if not NAME.fullmatch(name):
            yield at(f"{name!r} is not a name for a problem: it names a folder", "problems", name)
    known = [method.name for method in BASELINES]
    for name, reason in file.without.items():
        if name not in known:
            advice = did_you_mean(name, known) or f"; the baselines are {', '.join(known)}"
            yield at(f"no baseline named {name!r}{advice}", "without", name)
        elif not reason.strip():
            yield at("expected the reason, which the report shows", "without", name)
    yield from _wrong_names(file, tree)
    seeds = _seeds(file)
    if isinstance(file.seeds, int) and file.seeds > MOST_SEEDS:
        yield at(f"expected at most {MOST_SEEDS} seeds", "seeds")
    elif not seeds or len(set(seeds)) != len(seeds):
        yield at("expected how many seeds, or a list of different ones", "seeds")
    elif not all(0 <= seed <= LARGEST_SEED for seed in seeds):
        yield at(f"expected seeds from 0 to {LARGEST_SEED}, got {list(seeds)}", "seeds")
    if not file.budgets or len(set(file.budgets)) != len(file.budgets):
        yield at("expected `epochs`, or `epochs` and `time`", "budgets")
    elif Budget.TIME in file.budgets:
        if Budget.EPOCHS not in file.budgets:
            yield at("`time` needs `epochs`, whose runs measure the cost of a step", "budgets")
        if EQUAL in file.without:
            yield at("`time` needs the baseline `equal`, whose time all others get", "budgets")


def _wrong_names(file: File, tree: MappingNode) -> Iterator[Mistake]:
    baselines = {method.name: method for method in BASELINES}
    names: set[str] = set()
    for number, written in enumerate(file.weightings):
        name, baseline = written.name, baselines.get(written.name)
        if not NAME.fullmatch(name):
            message = "cannot name a folder; give it a `name`"
        elif baseline and (written.search or written.weighting != baseline.weighting):
            message = "is the name of a baseline; give this one another `name`"
        elif name in file.without:
            message = "is left out by `without`; take it out of there, or of this list"
        elif name in names:
            message = "stands in the list already; give one of them another `name`"
        else:
            message = ""
        if message:
            path = ("weightings", str(number))
            yield Mistake(location(node_at(tree, path)), f"{name!r} {message}", path)
        names.add(name)


def _problems(
    file: File, tree: MappingNode, folder: Path, catalog: Catalog
) -> tuple[dict[str, Compared], list[str]]:
    """Return the problems with their recipes, and the mistakes in the recipes."""
    problems: dict[str, Compared] = {}
    lines: list[str] = []
    for name, problem in file.problems.items():
        path = folder / problem.recipe
        try:
            recipe = load_recipe(path, catalog, problem.set)
        except RecipeError as cause:
            at = ("problems", name, "recipe")
            # then the location in the comparison is more useful; unlike Path.is_file, this returns
            # False for a name that is too long
            missing = not os.path.isfile(path)
            lines += [
                str(Mistake(location(node_at(tree, at)), line, at)) if missing else line
                for line in cause.lines
            ]
            continue
        metrics = {
            task: PrimaryMetric(metric=metric) if isinstance(metric, str) else metric
            for task, metric in problem.primary_metrics.items()
        }
        problems[name] = Compared(recipe=recipe, base=path.parent, primary_metrics=metrics)
    return problems, lines


def _located(file: File, tree: MappingNode, problem: Disagreement) -> Mistake:
    """Return the mistake at its location in the file; those of baselines at `problems`."""
    path, names = problem.path, [entry.name for entry in file.weightings]
    if path[0] == "methods":
        is_listed = path[1] in names
        path = ("weightings", str(names.index(path[1])), *path[2:]) if is_listed else ("problems",)
    return Mistake(location(node_at(tree, path)), problem.message, path)


def _methods(file: File) -> tuple[Method, ...]:
    baselines = [method for method in BASELINES if method.name not in file.without]
    known = {method.name for method in BASELINES}
    added = [
        Method(name=entry.name, weighting=entry.weighting, search=entry.search)
        for entry in file.weightings
        if entry.name not in known
    ]
    return (*baselines, *added)


def _seeds(file: File) -> tuple[int, ...]:
    if not isinstance(file.seeds, int):
        return file.seeds
    return tuple(range(file.seeds)) if file.seeds <= MOST_SEEDS else ()
