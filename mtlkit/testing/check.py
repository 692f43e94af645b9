"""A check: one promise of a family, and the function that tests it."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from mtlkit.component import Component
from mtlkit.errors import MtlkitError
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.hooks import API_FLOOR
from mtlkit.plugins.registry import Entry, Registry
from mtlkit.recipe import Recipe
from mtlkit.targets.base import Target


@attrs.frozen(kw_only=True)
class Example:
    """An instance of a component to test, and the inputs that the test needs.

    `inputs` are those of a backbone, and `batch` returns the inputs of a number of samples, if
    those made from `inputs` do not suit it; the first samples are the same for any number.
    `features` are those that a head or an adapter reads; None means small ones of the first kind.
    `target` is that of a head, or the only one on which a metric or a transform is tested. `labels`
    (N, ...) are those of a target that derives from none of mtlkit's; every fourth sample has none.

    `base` is the folder that the paths of a data source are relative to. An evaluator or a callback
    is tested with `recipe`; None means the kit's small recipe.
    """

    value: Any  # a component, an op or an implementation
    inputs: InputSpecs = attrs.field(factory=lambda: InputSpec(shape=(1, 32, 32)))
    batch: Callable[[int], Batch] | None = attrs.field(default=None, eq=False)
    features: FeatureSpec | None = None
    base: Path = Path()
    recipe: Recipe | None = None
    target: Target | None = None
    labels: Tensor | None = attrs.field(default=None, eq=False)


@attrs.frozen(eq=False, kw_only=True)
class Subject:
    """A registered component under test. `answers` caches expensive results for all subjects.

    Its `repr`, which pytest shows of a failed check, leaves out what all subjects share.
    """

    catalog: Catalog = attrs.field(repr=False)
    plural: str  # of its family
    entry: Entry
    example: Example
    others: "tuple[Subject, ...]" = attrs.field(default=(), repr=False)  # of its suite, itself too
    answers: dict[Any, Any] = attrs.field(factory=dict, repr=False)

    @property
    def value(self) -> Any:
        """The example."""
        return self.example.value

    @property
    def kind(self) -> type[Component]:
        """The component's class."""
        return type(self.example.value)

    @property
    def label(self) -> str:
        """Name of the component on the command line, such as ``heads/acme/tall``."""
        return label_of(self.plural, self.entry)

    @property
    def registry(self) -> Registry[Any]:
        """The registry of its family."""
        return self.catalog.families()[self.plural]


def label_of(plural: str, entry: Entry) -> str:
    """Return the label of a component, such as ``heads/acme/tall``."""
    return f"{plural}/{entry.name}"


class BrokenPromiseError(AssertionError, MtlkitError):
    """A component does not keep what its family promises."""


def require(kept: bool, message: str) -> None:
    """Raise `BrokenPromiseError` with `message` unless the promise is `kept`."""
    if not kept:
        raise BrokenPromiseError(message)


def require_type(value: object, kind: type, call: str) -> None:
    """Raise `BrokenPromiseError` unless the `value` that `call` returned is of the type `kind`."""
    name, article = kind.__name__, "an" if kind.__name__[0] in "AEIOU" else "a"
    message = f"{call} returns a {type(value).__name__}; expected {article} {name}"
    require(isinstance(value, kind), message)


@attrs.frozen
class Check:
    """One promise: its name, the sentence that states it, and the function that tests it.

    `since` is the plugin API that added it. A plugin made for an older one may fail it, because the
    promise did not exist yet.
    """

    name: str
    promise: str
    run: Callable[[Subject], None]
    since: tuple[int, int] = API_FLOOR


def checks(
    *functions: Callable[[Subject], None], since: tuple[int, int] = API_FLOOR
) -> tuple[Check, ...]:
    """Return a check for each function, with the function's name and description."""
    return tuple(
        Check(f.__name__.replace("_", "-"), (f.__doc__ or "").partition("\n")[0], f, since)
        for f in functions
    )


def checks_of(module: str) -> tuple[Check, ...]:
    """Return a check for each function of a module that takes a subject and returns nothing."""
    annotations = {"subject": Subject, "return": None}
    functions = filter(inspect.isfunction, vars(sys.modules[module]).values())
    mine = (f for f in functions if f.__module__ == module)  # others are imported
    return checks(*(f for f in mine if f.__annotations__ == annotations))
