"""Lazy public namespaces: names declared in a stub, imported on first use.

The stub (``__init__.pyi``) next to a package lists its public names, once, for editors, type
checkers and the interpreter. Each is imported when it is first used.

A built-in component is listed in the stub of the namespace that users import it from, as
``# family/name: summary`` above the import of its class.
"""

import ast
import importlib
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mtlkit.errors import did_you_mean, nearest

NAMESPACES = (
    "mtlkit",
    "mtlkit.backbones",
    "mtlkit.callbacks",
    "mtlkit.comparison",
    "mtlkit.data",
    "mtlkit.evaluators",
    "mtlkit.heads",
    "mtlkit.metrics",
    "mtlkit.ops",
    "mtlkit.optim",
    "mtlkit.plugins",
    "mtlkit.routers",
    "mtlkit.runs",
    "mtlkit.testing",
    "mtlkit.weightings",
)
"""Public namespaces; plugins import only from these."""


LISTED = re.compile(r"^# (\w+)/(\S+): (.+)\nfrom (\S+) import (\w+) as \5$", re.MULTILINE)


class Listed(NamedTuple):
    """A component in a stub: its family, recipe name, target ``"module:Class"`` and summary."""

    family: str
    name: str
    target: str
    summary: str


@cache
def listed_components() -> tuple[Listed, ...]:
    """Return the built-in components, in the order of the stubs."""
    return tuple(
        Listed(family, name, f"{space if module[0] == '.' else ''}{module}:{component}", summary)
        for space in NAMESPACES
        for family, name, summary, module, component in LISTED.findall(
            stub_of(space).read_text("utf-8")
        )
    )


def builtin(family: str, name: str) -> type | None:
    """Return the class of a built-in component; None if no built-in has the name.

    >>> builtin("heads", "regression")
    <class 'mtlkit.heads.regression.Regression'>
    """
    for listed in listed_components():
        if (listed.family, listed.name) == (family, name):
            module, _, component = listed.target.partition(":")
            kind: type = getattr(importlib.import_module(module), component)
            return kind
    return None


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for the package whose stub is at `file`.

    A stub imports a name from a module of the package (``from .cagrad import CAGrad as CAGrad``) or
    re-exports a name of another package by its absolute path. An unknown name raises an
    `AttributeError`, or in ``from ... import`` an `ImportError`, that suggests its namespace or the
    closest public name:

    >>> import mtlkit
    >>> mtlkit.CAGrad
    Traceback (most recent call last):
    AttributeError: module 'mtlkit' has no public name 'CAGrad'; use mtlkit.weightings.CAGrad
    >>> from mtlkit.weightings import NashMtl
    Traceback (most recent call last):
    ImportError: module 'mtlkit.weightings' has no public name 'NashMtl'; did you mean 'NashMTL'?
    """
    targets = _targets(Path(file).with_suffix(".pyi"))
    names = sorted(targets)

    def get(name: str) -> Any:
        if name not in targets:
            hint = _hint(name, names)
            message = f"module {package!r} has no public name {name!r}{hint}"
            # ``from ... import`` would replace the message of an AttributeError
            if hint and _in_from_import(package) and not find_spec(f"{package}.{name}"):
                raise ImportError(message, name=package)
            raise AttributeError(message)
        module, _, attribute = targets[name].partition(":")
        value = importlib.import_module(module, package)
        if attribute:
            value = getattr(value, attribute)
        setattr(sys.modules[package], name, value)  # instead of a module of the same name
        return value

    return get, lambda: list(names), names


def public_names(namespace: str) -> list[str]:
    """Return the public names of `namespace`, read from its stub without importing it.

    >>> "CAGrad" in public_names("mtlkit.weightings")
    True
    """
    return sorted(_targets(stub_of(namespace)))


def stub_of(namespace: str) -> Path:
    """Return the path of the stub that lists the names of `namespace`."""
    return Path(__file__).parent.joinpath(*namespace.split(".")[1:], "__init__.pyi")


def _targets(stub: Path) -> dict[str, str]:
    """Return the import of each name in the stub: ``".module:name"``, or ``".submodule"``."""
    return {
        alias.name: "." * node.level
        + (f"{node.module}:{alias.name}" if node.module else alias.name)
        for node in ast.parse(stub.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _in_from_import(package: str) -> bool:
    """Return whether ``from ... import`` looks up the name, and not an attribute access."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals["__name__"] in (__name__, package):
        frame = frame.f_back
    name: str = frame.f_globals["__name__"]
    return name == "importlib._bootstrap"


def _hint(name: str, names: list[str]) -> str:
    if name.startswith("__"):  # looked up by the interpreter and by tools, not by users
        return ""
    spaces = {public: space for space in reversed(NAMESPACES) for public in public_names(space)}
    if name in spaces:
        return f"; use {spaces[name]}.{name}"
    hint = did_you_mean(name, names)
    if not hint and (near := nearest(name, spaces)):
        hint = f"; did you mean {spaces[near]}.{near}?"
    return hint
