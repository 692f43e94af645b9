"""Reading recipes from YAML, with all mistakes reported at once."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
from cattrs import Converter
from yaml import MappingNode

from mtlkit.data.source import DataSource
from mtlkit.errors import MtlkitError, RecipeError
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io.layers import read_layers, read_text
from mtlkit.recipe_io.source_location import Mistake, RefusedError, SourceLocation
from mtlkit.recipe_io.structuring import new_converter
from mtlkit.recipe_io.task_patterns import expand_tasks, fold_equal
from mtlkit.recipe_io.yaml_nodes import child_at, entry, location, node_at
from mtlkit.task import with_default_heads


@attrs.frozen
class Written:
    """A recipe and the locations of its values."""

    recipe: Recipe
    tree: MappingNode

    def location(self, path: Sequence[str]) -> SourceLocation | None:
        """Return the location of the value at `path`; None for a default."""
        node = child_at(self.tree, path)
        return None if node is None else location(node)


def load_recipe(path: Path, catalog: Catalog, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe in the YAML file `path`, with `overrides` such as ``optimizer.lr=0.1``.

    Raises `RecipeError` with all mistakes, each with its location and path.
    """
    return read_recipe(path, catalog, overrides).recipe


def read_recipe(path: Path, catalog: Catalog, overrides: Sequence[str] = ()) -> Written:
    """Return the recipe of `load_recipe` with the location of each value."""
    path = Path(path)
    try:
        text = read_text(path)
    except RefusedError as cause:
        raise RecipeError(cause.lines()) from None
    return _parse(text, str(path), catalog, overrides, path.parent)


def parse_recipe(
    text: str, source_name: str, catalog: Catalog, overrides: Sequence[str] = ()
) -> Recipe:
    """Return the recipe in `text`; as `load_recipe`, with `source_name` as the file in messages.

    A path after ``extends`` is relative to the working directory.

    >>> from mtlkit.plugins.catalog import load_catalog
    >>> text = "{data: {type: images, folder: f, pattern: '{yaw}.png', size: 32}, " + (
    ...        "backbone: casia-net, tasks: {yaw: {}}, seeed: 1}")
    >>> parse_recipe(text, "my.yaml", load_catalog("none"))
    Traceback (most recent call last):
    mtlkit.errors.RecipeError: my.yaml:1:106: seeed: unknown key of the recipe; did you mean 'seed'?
    1 mistake, nothing was run
    """
    return _parse(text, source_name, catalog, overrides, Path()).recipe


def _parse(
    text: str, source: str, catalog: Catalog, overrides: Sequence[str], folder: Path
) -> Written:
    try:
        tree = read_layers(text, source, folder, overrides)
        converter = new_converter(catalog)
        tree = expand_tasks(tree, lambda: _labels(converter, tree))
        recipe = _with_plugin_heads(converter.structure(tree, Recipe), tree, catalog)
        mistakes = list(_between_parts(recipe, tree, catalog))
        if mistakes:
            raise RefusedError(mistakes)
    except RefusedError as cause:
        raise RecipeError(RefusedError(fold_equal(cause.mistakes)).lines()) from None
    return Written(recipe, tree)


def _labels(converter: Converter, tree: MappingNode) -> Sequence[str]:
    """Return the labels that the data source of a recipe declares."""
    data = entry(tree, "data")
    if data is None:
        return ()
    try:
        source: DataSource = converter.structure(data, DataSource)  # type: ignore[type-abstract]
    except RefusedError as cause:
        raise RefusedError(mistake.under("data") for mistake in cause.mistakes) from cause
    return tuple(source.label_targets)


def _with_plugin_heads(recipe: Recipe, tree: MappingNode, catalog: Catalog) -> Recipe:
    """Return `recipe`, whose tasks without a head get those of plugins for their types of labels.

    The built-in heads are set by `Recipe` itself.
    """
    try:
        tasks = with_default_heads(recipe.tasks, recipe.data.label_targets, catalog.heads.get)
    except MtlkitError as cause:
        path = ("tasks",)
        raise RefusedError([Mistake(location(node_at(tree, path)), str(cause), path)]) from cause
    return attrs.evolve(recipe, tasks=tasks)


def _between_parts(recipe: Recipe, tree: MappingNode, catalog: Catalog) -> Iterable[Mistake]:
    """Return the mistakes between parts that are valid by themselves."""
    try:
        problems = recipe.problems(catalog.op_table)
    except Exception as cause:  # a plugin's check may break; that is a mistake too, not a crash
        message = f"the check of the parts together failed: {type(cause).__name__}: {cause}"
        return [Mistake(location(tree), message)]
    return [
        Mistake(location(node_at(tree, problem.path)), problem.message, problem.path)
        for problem in problems
    ]
