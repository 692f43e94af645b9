"""Functions, methods and classes of torch that a plugin's module replaces.

Such a patch changes the results of every component, so it is named and undone.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

MODULES = ("", ".nn", ".nn.functional", ".nn.init", ".optim", ".linalg", ".autograd")
"""Modules of torch whose attributes are compared."""

WITH_CLASSES = ("torch.nn", "torch.optim")
"""Modules of torch in whose classes attributes are compared, too, as in `torch.Tensor`."""

OWN = ("torch", "typing_extensions")
"""Packages whose functions torch's modules hold."""

SHOWN = 5
"""Number of names that a message lists."""

Owners = Mapping[str, Any]
"""Modules and classes by name."""


@contextmanager
def torch_patches_undone(changes: list[str]) -> Iterator[None]:
    """Undo what replaces attributes of torch, and append a text that names them to `changes`.

    If torch was not imported before, patches are recognized by their module, and stay.
    """
    before = {name: (owner, dict(vars(owner))) for name, owner in _owners().items()}
    try:
        yield
    finally:
        if before:
            names = [*_undone(before)]
            text = "the originals were restored"
        else:
            names = [*_foreign_attributes()]
            text = "every component uses the new ones, so disable the plugin unless it states why"
        if names:
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            changes.append(f"replaces {shown}; {text}")


def _owners() -> Owners:
    """Return the modules and their classes; nothing before torch is imported."""
    owners: dict[str, Any] = {}
    for suffix in MODULES:
        name = f"torch{suffix}"
        module = sys.modules.get(name)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            owners |= {name: module, **_classes(name, module)}
    return owners


def _classes(name: str, module: ModuleType) -> Owners:
    if name == "torch":
        return {"torch.Tensor": module.Tensor}
    if name not in WITH_CLASSES:
        return {}
    return {
        f"{name}.{key}": value
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__.partition(".")[0] == "torch"
    }


def _undone(before: Mapping[str, tuple[Any, Mapping[str, Any]]]) -> Iterator[str]:
    """Restore the replaced attributes, and yield their names."""
    for name, (owner, attributes) in before.items():
        now = dict(vars(owner))
        if now == attributes:  # far faster than a comparison one by one
            continue
        for key, value in attributes.items():
            new = now.get(key)
            if new is not value and callable(value) and not _is_wrapper(value, new):
                setattr(owner, key, value)
                yield f"{name}.{key}"


def _is_wrapper(old: Any, new: Any) -> bool:
    """Return whether torch itself wrapped `old`, as its compiler does on import."""
    code = getattr(new, "__code__", None)
    if code is None or getattr(new, "__name__", None) != getattr(old, "__name__", ""):
        return False
    return Path(str(sys.modules["torch"].__file__)).parent in Path(code.co_filename).parents


def _foreign_attributes() -> Iterator[str]:
    """Yield the names of functions and classes neither of torch nor of the standard library."""
    trusted = {"", *OWN, *sys.stdlib_module_names}
    for name, owner in _owners().items():
        for key, value in vars(owner).items():
            if isinstance(value, FunctionType):
                module = value.__globals__.get("__name__")
            else:
                module = value.__module__ if isinstance(value, type) else ""
            if str(module).partition(".")[0] not in trusted:
                yield f"{name}.{key}"
