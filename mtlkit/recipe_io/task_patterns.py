"""Tasks that a recipe writes as one pattern of names."""

from collections.abc import Callable, Sequence

from yaml import MappingNode, Node, ScalarNode

from mtlkit.errors import shortened
from mtlkit.name_patterns import is_pattern, matching
from mtlkit.recipe_io.layers import merge
from mtlkit.recipe_io.source_location import Mistake, RefusedError
from mtlkit.recipe_io.yaml_nodes import Pair, entry, location, mapping

TASKS = "tasks"
"""The key of the tasks in a recipe."""


def expand_tasks(tree: MappingNode, labels: Callable[[], Sequence[str]]) -> MappingNode:
    """Return the recipe with one entry for each task that a pattern of names lists.

    ``*`` selects among the `labels` of the data. An entry with the name of a task changes what the
    pattern gives that task. Raises `RefusedError` for a pattern without names, and for a task that
    two patterns list.
    """
    tasks = entry(tree, TASKS)
    if not isinstance(tasks, MappingNode) or not any(is_pattern(k.value) for k, _ in tasks.value):
        return tree
    named = {key.value: value for key, value in tasks.value if not is_pattern(key.value)}
    pairs: dict[str, Pair] = {}
    source: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for key, value in tasks.value:
        if not is_pattern(key.value):
            pairs.setdefault(key.value, (key, value))
            continue
        try:
            names = _names(key, labels)
        except ValueError as cause:
            mistakes.append(Mistake(location(key), str(cause), (TASKS, key.value)))
            continue
        for name in names:
            if source.setdefault(name, key.value) != key.value:
                message = f"lists {name!r}, as {source[name]!r} does; remove it from one of them"
                mistakes.append(Mistake(location(key), message, (TASKS, key.value)))
            settings: Node = merge(value, named[name]) if name in named else value
            pairs[name] = (ScalarNode("", name, key.start_mark), settings)
    if mistakes:
        raise RefusedError(mistakes)
    expanded = mapping(pairs.values(), tasks.start_mark)
    return mapping(
        [(key, expanded if key.value == TASKS else value) for key, value in tree.value],
        tree.start_mark,
    )


def _names(key: ScalarNode, labels: Callable[[], Sequence[str]]) -> Sequence[str]:
    known = labels() if "*" in key.value else ()
    names = matching(key.value, known)
    if names:
        return names
    if not known:
        raise ValueError(
            "the labels of this data are known only when it is loaded; list them, as in "
            '"{age,gender}" or "label{1..40}"'
        )
    raise ValueError(f"matches none of the labels: {shortened(known)}")


def fold_equal(mistakes: Sequence[Mistake]) -> list[Mistake]:
    """Return each mistake once that all tasks of a pattern have, with the number of the others."""
    groups: dict[tuple[object, str, tuple[str, ...]], list[Mistake]] = {}
    for mistake in mistakes:
        rest = mistake.path[2:] if mistake.path[:1] == (TASKS,) else mistake.path
        groups.setdefault((mistake.location, mistake.message, rest), []).append(mistake)
    return [_with_count(group) for group in groups.values()]


def _with_count(group: Sequence[Mistake]) -> Mistake:
    first, others = group[0], {mistake.path for mistake in group[1:]}
    if not others or first.path[:1] != (TASKS,):
        return first
    tasks = "1 other task" if len(others) == 1 else f"{len(others)} other tasks"
    return Mistake(first.location, f"{first.message} (also in {tasks} of the pattern)", first.path)
