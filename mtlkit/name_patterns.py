"""Patterns of names: lists in braces, ranges, and wildcards."""

import fnmatch
import re
from collections.abc import Iterable, Sequence

LARGEST = 10_000
"""Maximum number of names in a range."""

_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{},]*(?:,[^{},]*)+))\}")


def expand_braces(pattern: str) -> tuple[str, ...]:
    """Return the names that `pattern` lists, as a shell does; a pattern without braces is a name.

    Raises `ValueError` for a range that falls, or has more than `LARGEST` numbers.

    >>> expand_braces("{left,right}_{08..10}")
    ('left_08', 'left_09', 'left_10', 'right_08', 'right_09', 'right_10')
    >>> expand_braces("age")
    ('age',)
    """
    match = _BRACES.search(pattern)
    if match is None:
        return (pattern,)
    before, after = pattern[: match.start()], pattern[match.end() :]
    parts = match[3].split(",") if match[3] is not None else _range(match[1], match[2])
    rest = expand_braces(after)
    return tuple(dict.fromkeys(f"{before}{part}{end}" for part in parts for end in rest))


def expand_names(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the names that all `patterns` list.

    >>> expand_names(["age", "{a,b}"])
    ('age', 'a', 'b')
    """
    return tuple(name for pattern in patterns for name in expand_braces(pattern))


def is_pattern(name: str) -> bool:
    """Return whether `name` stands for other names.

    >>> [is_pattern(name) for name in ("age", "{age}", "{a,b}", "attr*")]
    [False, False, True, True]
    """
    return "*" in name or _BRACES.search(name) is not None


def matching(pattern: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a pattern; one with ``*`` selects among the `known` names.

    >>> matching("{a,b}*", ["a1", "b2", "c3"])
    ('a1', 'b2')
    """
    return tuple(
        dict.fromkeys(
            name
            for part in expand_braces(pattern)
            for name in (_selected(part, known) if "*" in part else (part,))
        )
    )


def _selected(pattern: str, known: Sequence[str]) -> list[str]:
    literal = re.sub(r"([\[?])", r"[\1]", pattern)  # only * is a wildcard
    return [name for name in known if fnmatch.fnmatchcase(name, literal)]


def _range(first: str, last: str) -> list[str]:
    start, stop = int(first), int(last)
    if not 0 <= stop - start < LARGEST:
        raise ValueError(
            f"expected a rising range of at most {LARGEST} numbers, got {{{first}..{last}}}"
        )
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(start, stop + 1)]
