"""The families of components, each declared once.

A line of `Families` gives the catalog its registry, plugins the place to register, and the command
line, the schema of recipes and the conformance kit the names of the family.
"""

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from mtlkit.component import Component
from mtlkit.errors import MtlkitError
from mtlkit.plugins.namespaced_registry import NamespacedRegistry
from mtlkit.plugins.registry import Origin, Registry

if TYPE_CHECKING:
    from mtlkit.backbones.base import Backbone
    from mtlkit.data.source import DataSource
    from mtlkit.evaluators.base import Evaluator
    from mtlkit.heads.base import Head
    from mtlkit.loggers.base import Logger
    from mtlkit.ops.configs import HeadOp, OpImplementation
    from mtlkit.optim.base import Optimizer, Schedule
    from mtlkit.routers.base import Router
    from mtlkit.routers.branches import Branch
    from mtlkit.weightings.base import Weighting

C = TypeVar("C", bound=Component)


class Family(Generic[C]):
    """A family of components: its names, its base class, and its place in a recipe.

    `base` is ``"module:Class"``, which is not imported to make a catalog.
    `recipe` is the path of a component in a recipe, an empty step for an item of a list; a family
    without one is selected by name.

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

    @overload
    def __get__(self, instance: None, owner: type) -> "Family[C]": ...
    @overload
    def __get__(self, instance: "Registries", owner: type) -> Registry[C]: ...
    @overload
    def __get__(self, instance: "Registrar", owner: type) -> NamespacedRegistry[C]: ...
    def __get__(self, instance: "Registries | Registrar | None", owner: type) -> Any:
        return self if instance is None else instance.by_family[self.plural]


class Families:
    """One attribute for each family."""

    backbones: "Family[Backbone]" = Family(
        "backbone", "mtlkit.backbones.base:Backbone", ("backbone",)
    )
    heads: "Family[Head]" = Family("head", "mtlkit.heads.base:Head", ("tasks", "my-task", "head"))
    routers: "Family[Router]" = Family("router", "mtlkit.routers.base:Router", ("routing",))
    branches: "Family[Branch]" = Family(
        "branch", "mtlkit.routers.branches:Branch", ("routing", "branch")
    )
    weightings: "Family[Weighting]" = Family(
        "weighting", "mtlkit.weightings.base:Weighting", ("weighting",)
    )
    data: "Family[DataSource]" = Family("data source", "mtlkit.data.source:DataSource", ("data",))
    optimizers: "Family[Optimizer]" = Family(
        "optimizer", "mtlkit.optim.base:Optimizer", ("optimizer",)
    )
    schedules: "Family[Schedule]" = Family("schedule", "mtlkit.optim.base:Schedule", ("schedule",))
    evaluators: "Family[Evaluator]" = Family(
        "evaluator", "mtlkit.evaluators.base:Evaluator", ("evaluation", "")
    )
    loggers: "Family[Logger]" = Family(
        "logger", "mtlkit.loggers.base:Logger", ("train", "loggers", "")
    )
    ops: "Family[HeadOp]" = Family("op", "mtlkit.ops.configs:HeadOp")
    implementations: "Family[OpImplementation]" = Family(
        "implementation", "mtlkit.ops.configs:OpImplementation"
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
            family.plural: Registry(family.singular, family.plural, self.namespaces)
            for family in FAMILIES
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
        raise MtlkitError(
            f"{component.__name__}: derives from no family of components; derive it from one of "
            f"{', '.join(family.base.partition(':')[2] for family in FAMILIES)}"
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
