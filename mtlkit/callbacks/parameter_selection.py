"""Parameters of a model, selected by part or by a pattern of their names."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.errors import AssemblyError, did_you_mean
from mtlkit.model import MultiTaskModel

PARTS = ("backbone", "router", "heads")
"""Parts of a model; `router` is what a router adds to the backbone."""


def part_of(model: MultiTaskModel) -> dict[str, str]:
    """Return the part of every parameter of `model` by its name."""
    inside = {
        id(parameter)
        for module in model.router.modules()
        if isinstance(module, BackboneModule)
        for parameter in module.parameters()
    }
    return {
        name: "heads"
        if name.startswith("heads.")
        else "backbone"
        if id(parameter) in inside
        else "router"
        for name, parameter in model.named_parameters()
    }


def select_parameters(model: MultiTaskModel, patterns: Sequence[str]) -> Mapping[str, nn.Parameter]:
    """Return the parameters that any of `patterns` selects, by name.

    A pattern is a part (``backbone``, ``router``, ``heads``) or a name with the wildcards of a
    shell, such as ``heads.pose_head.*``. Raises `AssemblyError` if a pattern selects nothing.
    """
    parameters = dict(model.named_parameters())
    selected = {name for pattern in patterns for name in _selected(model, pattern)}
    return {name: value for name, value in parameters.items() if name in selected}


def _selected(model: MultiTaskModel, pattern: str) -> Iterator[str]:
    parts = part_of(model)
    names = [
        name
        for name, part in parts.items()
        if part == pattern or fnmatch.fnmatchcase(name, pattern)
    ]
    if not names:
        hint = did_you_mean(pattern, [*PARTS, *parts]) or f"; there is {', '.join(list(parts)[:5])}"
        raise AssemblyError(
            f"no parameter of the model matches {pattern!r}{hint}; "
            f"give {', '.join(PARTS)}, or a name with wildcards"
        )
    yield from names
