"""Lazy public namespaces: names declared in a stub, imported on first use.

The stub (``__init__.pyi``) next to a package lists its public names, once, for editors, type
checkers and the interpreter. `lazy_loader` imports each when it is first used.
"""

import ast
import difflib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lazy_loader

from mtlkit.errors import did_you_mean

NAMESPACES = (
    "mtlkit",
    "mtlkit.backbones",
    "mtlkit.comparison",
    "mtlkit.data",
    "mtlkit.evaluators",
    "mtlkit.heads",
    "mtlkit.loggers",
    "mtlkit.metrics",
    "mtlkit.ops",
    "mtlkit.optim",
    "mtlkit.plugins",
    "mtlkit.report",
    "mtlkit.routers",
    "mtlkit.runs",
    "mtlkit.testing",
    "mtlkit.weightings",
)
"""The public namespaces: plugins import from these and from nothing deeper."""


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for the package whose stub is at `file`.

    A stub imports a name from a module of the package (``from .cagrad import CAGrad as CAGrad``) or
    re-exports one of another package by its absolute path. An unknown name raises an
    `AttributeError` that names the namespace that has it, or the nearest public name:

    >>> import mtlkit
    >>> mtlkit.CAGrad
    Traceback (most recent call last):
    AttributeError: module 'mtlkit' has no public name 'CAGrad'; use mtlkit.weightings.CAGrad
    """
    submodules: list[str] = []
    inside: dict[str, list[str]] = {}
    elsewhere: dict[str, str] = {}
    for node, name in _stub_names(Path(file).with_suffix(".pyi")):
        if node.level == 0:
            elsewhere[name] = str(node.module)
        elif node.module is None:
            submodules.append(name)
        else:
            inside.setdefault(node.module, []).append(name)
    load, _, own = lazy_loader.attach(package, submodules, inside)
    names = sorted([*own, *elsewhere])

    def get(name: str) -> Any:
        if name in elsewhere:
            return getattr(importlib.import_module(elsewhere[name]), name)
        if name in own:
            return load(name)
        raise AttributeError(f"module {package!r} has no public name {name!r}{_hint(name, names)}")

    return get, lambda: list(names), names


def public_names(namespace: str) -> list[str]:
    """Return the public names of `namespace`, read from its stub without importing it.

    >>> "CAGrad" in public_names("mtlkit.weightings")
    True
    """
    folder = Path(__file__).parent.joinpath(*namespace.split(".")[1:])
    return sorted(name for _, name in _stub_names(folder / "__init__.pyi"))


def _stub_names(stub: Path) -> Iterator[tuple[ast.ImportFrom, str]]:
    """Yield each name that `stub` imports, with the statement that imports it."""
    for node in ast.parse(stub.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node, alias.name


def _hint(name: str, names: list[str]) -> str:
    if name.startswith("__"):  # asked for by the interpreter and by tools, never by people
        return ""
    homes = {public: space for space in reversed(NAMESPACES) for public in public_names(space)}
    if name in homes:
        return f"; use {homes[name]}.{name}"
    near = did_you_mean(name, names)
    if not near and (close := difflib.get_close_matches(name, homes, n=1)):
        near = f"; did you mean {homes[close[0]]}.{close[0]}?"
    return near
