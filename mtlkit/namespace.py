"""Lazy public namespaces: names declared in a stub, imported on first use.

The stub (``__init__.pyi``) of a package lists its public names for editors, type checkers and the
interpreter. `lazy_loader` imports each name when it is first used.
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
"""Public namespaces; plugins import only from these."""


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for the package whose stub is at `file`.

    A stub imports a name from a module of the package (``from .cagrad import CAGrad as CAGrad``) or
    re-exports a name of another package by its absolute path. An unknown name raises an
    `AttributeError` that suggests its namespace, or the closest public name:

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
    load, _, lazy_names = lazy_loader.attach(package, submodules, inside)
    names = sorted([*lazy_names, *elsewhere])

    def get(name: str) -> Any:
        if name in elsewhere:
            return getattr(importlib.import_module(elsewhere[name]), name)
        if name in lazy_names:
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
    if name.startswith("__"):  # looked up by the interpreter and by tools, not by users
        return ""
    spaces = {public: space for space in reversed(NAMESPACES) for public in public_names(space)}
    if name in spaces:
        return f"; use {spaces[name]}.{name}"
    hint = did_you_mean(name, names)
    if not hint and (close := difflib.get_close_matches(name, spaces, n=1)):
        hint = f"; did you mean {spaces[close[0]]}.{close[0]}?"
    return hint
