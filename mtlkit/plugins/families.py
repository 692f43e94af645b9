"""The families of components, each declared once.

A line of `Families` defines the registry in the catalog, the attribute that plugins register with,
and the names of the family on the command line, in the schema of recipes and in the conformance
kit.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from mtlkit.component import Component
from mtlkit.errors import MtlkitError
from mtlkit.plugins.namespaced_registry import NamespacedRegistry
from mtlkit.plugins.registry import Origin, Registry, ValueRegistry

if TYPE_CHECKING:
    from mtlkit.adapters.base import Adapter
    from mtlkit.backbones.base import Backbone
    from mtlkit.data.source import DataSource
    from mtlkit.evaluators.base import Evaluator
    from mtlkit.heads.base import Head
    from mtlkit.loggers.base import Logger
    from mtlkit.metrics.base import Metric
    from mtlkit.ops.dispatch.implementation import Implementation, Op
    from mtlkit.optim.base import Optimizer, Schedule
    from mtlkit.routers.base import Router
    from mtlkit.routers.branches import Branch
    from mtlkit.targets.base import Target
    from mtlkit.transforms.base import Transform
    from mtlkit.weightings.base import Weighting

T = TypeVar("T")


class Family(Generic[T]):
    """A family of components: its names, its base class, and its place in a recipe.

    `base` is ``"module:Class"``; loading a catalog does not import it.
    `recipe` is the path of a component in a recipe, an empty step for an item of a list; a family
    without one is selected by name, or by the data.

    A family is a descriptor: on a `Catalog` its attribute is the family's registry, and on a
    `Registrar` the registry within the plugin's namespace.
    """

    plural: str
    """The name of the attribute, of the registry, and of the family on the command line."""

    def __init__(self, singular: str, base: str, recipe: tuple[str, ...] = ()) -> None:
        self.singular = singular
        self.base = base
        self.recipe = recipe

    def __set_name__(self, owner: type, name: str) -> None:
        self.plural = name

    def new_registry(self, namespaces: Collection[str]) -> Registry[T]:
        """Return an empty registry; `namespaces` are those of the installed plugins."""
        return Registry(self.singular, self.plural, namespaces)

    @overload
    def __get__(self, instance: None, owner: type) -> "Family[T]": ...
    @overload
    def __get__(self, instance: "Registries", owner: type) -> Registry[T]: ...
    @overload
    def __get__(self, instance: "Registrar", owner: type) -> NamespacedRegistry[T]: ...
    def __get__(self, instance: "Registries | Registrar | None", owner: type) -> Any:
        return self if instance is None else instance.by_family[self.plural]


class ValueFamily(Family[T]):
    """A family of values of the class `base`, each registered under its own name."""

    def new_registry(self, namespaces: Collection[str]) -> Registry[T]:
        return ValueRegistry(self.singular, self.plural, namespaces, base=self.base)


class Families:
    """One attribute for each family."""

    backbones: "Family[type[Backbone]]" = Family(
        "backbone", "mtlkit.backbones.base:Backbone", ("backbone",)
    )
    adapters: "Family[type[Adapter]]" = Family(
        "adapter", "mtlkit.adapters.base:Adapter", ("tasks", "my-task", "adapter")
    )
    heads: "Family[type[Head]]" = Family(
        "head", "mtlkit.heads.base:Head", ("tasks", "my-task", "head")
    )
    metrics: "Family[type[Metric]]" = Family(
        "metric", "mtlkit.metrics.base:Metric", ("tasks", "my-task", "metrics", "")
    )
    routers: "Family[type[Router]]" = Family("router", "mtlkit.routers.base:Router", ("router",))
    branches: "Family[type[Branch]]" = Family(
        "branch", "mtlkit.routers.branches:Branch", ("router", "branch")
    )
    weightings: "Family[type[Weighting]]" = Family(
        "weighting", "mtlkit.weightings.base:Weighting", ("weighting",)
    )
    data: "Family[type[DataSource]]" = Family(
        "data source", "mtlkit.data.source:DataSource", ("data",)
    )
    targets: "Family[type[Target]]" = Family("target", "mtlkit.targets.base:Target")
    transforms: "Family[type[Transform]]" = Family(
        "transform", "mtlkit.transforms.base:Transform", ("transforms", "train", "")
    )
    optimizers: "Family[type[Optimizer]]" = Family(
        "optimizer", "mtlkit.optim.base:Optimizer", ("optimizer",)
    )
    schedules: "Family[type[Schedule]]" = Family(
        "schedule", "mtlkit.optim.base:Schedule", ("schedule",)
    )
    evaluators: "Family[type[Evaluator]]" = Family(
        "evaluator", "mtlkit.evaluators.base:Evaluator", ("evaluators", "")
    )
    loggers: "Family[type[Logger]]" = Family(
        "logger", "mtlkit.loggers.base:Logger", ("train", "loggers", "")
    )
    ops: "Family[Op]" = ValueFamily("op", "mtlkit.ops.dispatch.implementation:Op")
    implementations: "Family[Implementation]" = ValueFamily(
        "implementation", "mtlkit.ops.dispatch.implementation:Implementation"
    )


FAMILIES: tuple[Family[Any], ...] = tuple(
    value for value in vars(Families).values() if isinstance(value, Family)
)
"""Every family, in the order of declaration."""


class Registries(Families):
    """A registry for each family."""

    def __init__(self) -> None:
        self.namespaces: set[str] = set()
        """The namespaces of the installed plugins."""
        self.by_family: dict[str, Registry[Any]] = {
            family.plural: family.new_registry(self.namespaces) for family in FAMILIES
        }

    def families(self) -> dict[str, Registry[Any]]:
        """Return every registry by the plural of its family."""
        return dict(self.by_family)

    def registry_of(self, component: type[Component]) -> Registry[Any]:
        """Return the registry of the family from which `component` derives."""
        plurals = {family.base: family.plural for family in FAMILIES}
        for base in component.__mro__:
            plural = plurals.get(f"{base.__module__}:{base.__qualname__}")
            if plural is not None:
                return self.by_family[plural]
        bases = [family.base for family in FAMILIES if not isinstance(family, ValueFamily)]
        raise MtlkitError(
            f"{component.__name__}: derives from no family of components; derive it from one of "
            f"{', '.join(base.partition(':')[2] for base in bases)}"
        )


class Registrar(Families):
    """The catalog that a plugin's ``mtlkit_register`` receives: a registry for each family.

    >>> from mtlkit.plugins.registry import Origin
    >>> registries = Registries()
    >>> registrar = Registrar(registries, "acme", Origin("mtlkit-acme", "1.0", "plugin.py"))
    >>> registrar.weightings.add("acme/even", "mtlkit.weightings.equal:Equal", "equal weights")
    >>> registrar.commit()
    >>> registries.weightings.names()
    ['acme/even']
    """

    def __init__(self, registries: Registries, namespace: str, origin: Origin) -> None:
        self.by_family: dict[str, NamespacedRegistry[Any]] = {
            plural: NamespacedRegistry(registry, namespace, origin)
            for plural, registry in registries.by_family.items()
        }

    def commit(self) -> None:
        """Register everything that was added, or nothing if one name is refused."""
        try:
            for registry in self.by_family.values():
                registry.commit()
        except MtlkitError:
            for registry in self.by_family.values():
                registry.rollback()
            raise
