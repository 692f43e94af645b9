"""Parameters of a model, selected by part or by a pattern of their names."""

import fnmatch
from collections.abc import Mapping, Sequence

from torch import nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.errors import AssemblyError, did_you_mean
from mtlkit.model import MultiTaskModel

PARTS = ("backbone", "router", "heads")
"""Parts of a model; `router` is what a router adds to the backbone."""


def part_of(model: MultiTaskModel) -> dict[str, str]:
    """Return the part of every parameter and persistent buffer of `model` by its name."""
    backbones = tuple(
        f"{name}." for name, module in model.named_modules() if isinstance(module, BackboneModule)
    )

    def part(name: str) -> str:
        if name.startswith("heads."):
            return "heads"
        return "backbone" if name.startswith(backbones) else "router"

    return {name: part(name) for name in model.state_dict()}


def select_tensors(model: MultiTaskModel, patterns: Sequence[str], option: str) -> list[str]:
    """Return the names of the parameters and buffers that any of `patterns` selects.

    A pattern is a part (``backbone``, ``router``, ``heads``) or a name with the wildcards of a
    shell, such as ``heads.pose_head.*``. Raises `AssemblyError`, which names the `option`, if
    `patterns` is empty or a pattern selects nothing.
    """
    return _selected(part_of(model), patterns, option)


def select_parameters(
    model: MultiTaskModel, patterns: Sequence[str], option: str
) -> Mapping[str, nn.Parameter]:
    """Return the parameters that any of `patterns` selects, by name.

    Raises `AssemblyError` as `select_tensors` does, also for a pattern of buffers alone.
    """
    parts, parameters = part_of(model), dict(model.named_parameters())
    trained = {name: part for name, part in parts.items() if name in parameters}
    return {name: parameters[name] for name in _selected(trained, patterns, option)}


def _selected(parts: Mapping[str, str], patterns: Sequence[str], option: str) -> list[str]:
    if not patterns:
        raise AssemblyError(f"{option}: got no name; give {', '.join(PARTS)}, or a name")
    selected: set[str] = set()
    for pattern in patterns:
        names = {
            name
            for name, part in parts.items()
            if part == pattern or fnmatch.fnmatchcase(name, pattern)
        }
        if not names and pattern in PARTS:
            filled = ", ".join(part for part in PARTS if part in parts.values())
            raise AssemblyError(
                f"{option}: the {pattern} of this model has no parameters; "
                f"give {filled}, or a name with wildcards"
            )
        if not names:
            near = did_you_mean(pattern, [*PARTS, *parts])
            hint = near or f"; there is {', '.join(list(parts)[:5])}"
            raise AssemblyError(
                f"{option}: no parameter of the model matches {pattern!r}{hint}; "
                f"give {', '.join(PARTS)}, or a name with wildcards"
            )
        selected |= names
    return [name for name in parts if name in selected]
