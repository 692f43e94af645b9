"""All checks of all components of a plugin: required, excused or optional."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mtlkit.component import Component
from mtlkit.errors import MissingExtraError, MtlkitError, did_you_mean
from mtlkit.plugins.catalog import Catalog, PluginStatus, load_catalog
from mtlkit.plugins.discovery import incompatible, installed_plugins
from mtlkit.plugins.hooks import API
from mtlkit.plugins.registry import Entry, Registry
from mtlkit.testing import modules, values
from mtlkit.testing.check import Check, Example, Subject, label_of
from mtlkit.testing.checks import (
    adapters,
    backbones,
    callbacks,
    data,
    evaluators,
    heads,
    metrics,
    ops,
    optimizers,
    own_loop,
    routers,
    targets,
    transforms,
    weighting_claims,
    weightings,
)

MODULE_CHECKS = (*values.CHECKS, *modules.CHECKS)

CHECKS: Mapping[str, tuple[Check, ...]] = {
    "backbones": (*MODULE_CHECKS, *modules.GRAPH_CHECKS, *backbones.CHECKS),
    "adapters": (*values.CHECKS, *modules.STATE_CHECKS, *adapters.CHECKS),
    "heads": (*MODULE_CHECKS, *modules.GRAPH_CHECKS, *heads.CHECKS),
    "metrics": (*values.CHECKS, *metrics.CHECKS),
    "routers": (*MODULE_CHECKS, *routers.CHECKS),
    "branches": (*MODULE_CHECKS, *routers.CHECKS),
    "weightings": (
        *values.CHECKS,
        *weightings.CHECKS,
        *weighting_claims.CHECKS,
        *own_loop.CHECKS,
    ),
    "data": (*values.CHECKS, *data.CHECKS),
    "targets": (*values.CHECKS, *targets.CHECKS),
    "transforms": (*values.CHECKS, *transforms.CHECKS),
    "optimizers": (*values.CHECKS, *optimizers.OPTIMIZER_CHECKS),
    "schedules": (*values.CHECKS, *optimizers.SCHEDULE_CHECKS),
    "callbacks": (*values.CHECKS, *callbacks.CHECKS),
    "evaluators": (*values.CHECKS, *evaluators.EVALUATOR_CHECKS),
    "loggers": (*values.CHECKS, *evaluators.LOGGER_CHECKS),
    "ops": (*ops.CHECKS, *ops.OP_CHECKS),
    "implementations": ops.CHECKS,
}
"""The checks of each family."""


@attrs.frozen(eq=False)
class Case:
    """One check of one component, and the reason for its excuse, if it has one.

    A check with `news` was added by a later plugin API than that of the plugin, so it may fail.
    """

    subject: Subject
    check: Check
    excuse: str = ""
    news: bool = False

    @property
    def name(self) -> str:
        """Label and check, such as ``weightings/acme/halves:pickles``."""
        return f"{self.subject.label}:{self.check.name}"

    def run(self) -> None:
        """Run the check; raise `AssertionError` with the promise and the component if it fails.

        Raises `MissingExtraError` if the component needs a package that is not installed.
        """
        try:
            self.check.run(self.subject)
        except MissingExtraError:
            raise
        except Exception as cause:  # any error of a component under test is a failure
            raise AssertionError(
                f"{self.subject.label} ({self.subject.entry.origin}) breaks a promise of every "
                f"{self.subject.registry.family}: {self.check.promise} "
                f"Found: {type(cause).__name__}: {cause}"
            ) from cause


@attrs.frozen(eq=False)
class Suite:
    """Every check of every component that a plugin registers; none can drop out silently."""

    cases: tuple[Case, ...]

    def __str__(self) -> str:
        components = {case.subject.label for case in self.cases}
        excused = [case for case in self.cases if case.excuse]
        news = sum(case.news for case in self.cases)
        plural = "" if len(components) == 1 else "s"
        head = (
            f"{len(self.cases) - news} checks of {len(components)} component{plural} are required: "
            f"{len(self.cases) - len(excused) - news} must pass, {len(excused)} must fail"
        )
        if news:
            head += f"; {news} more came with a later plugin API than it was made for, and may fail"
        return "\n".join([head, *(f"  {case.name}: {case.excuse}" for case in excused)])


def suite_of(
    namespace: str,
    examples: Mapping[str, Component | Example] | None = None,
    excuses: Mapping[str, Mapping[str, str]] | None = None,
    catalog: Catalog | None = None,
) -> Suite:
    """Return the suite of the plugin with `namespace`; of mtlkit's own components if it is empty.

    `examples` holds a value (or an `Example`) for each component, by ``family/name``; a component
    whose options all have defaults needs none. `excuses` maps a component to the checks that it
    fails and the reason for each. Raises `MtlkitError` if the plugin did not load, if an example is
    missing, or if a name in either mapping is unknown.

    >>> suite_of("", {"heads/clasification": Example(value=None)}, catalog=load_catalog("none"))
    Traceback (most recent call last):
    mtlkit.errors.MtlkitError: examples: no component 'heads/clasification' is registered by ''; \
did you mean 'heads/classification'?
    """
    catalog = catalog or load_catalog()
    _require_loaded(catalog, namespace)
    examples, excuses = dict(examples or {}), dict(excuses or {})
    registered = [
        (plural, registry, entry)
        for plural, registry in catalog.families().items()
        for entry in registry
        if entry.name.partition("/")[0] == namespace or ("/" not in entry.name and not namespace)
    ]
    if not registered:
        raise MtlkitError(f"the plugin {namespace!r} registers no component; nothing is to check")
    labels = [label_of(plural, entry) for plural, _, entry in registered]
    for given, what in ((examples, "examples"), (excuses, "excuses")):
        for label in given:
            if label not in labels:
                raise MtlkitError(
                    f"{what}: no component {label!r} is registered by {namespace!r}"
                    f"{did_you_mean(label, labels)}"
                )
    answers: dict[Any, Any] = {}
    subjects = tuple(
        Subject(
            catalog=catalog,
            plural=plural,
            entry=entry,
            example=_example(registry, entry, examples.get(label_of(plural, entry))),
            answers=answers,
        )
        for plural, registry, entry in registered
    )
    subjects = tuple(attrs.evolve(subject, others=subjects) for subject in subjects)
    api = _api_of(namespace)
    cases = (case for s in subjects for case in _cases(s, excuses.get(s.label, {}), api))
    return Suite(tuple(cases))


def _api_of(namespace: str) -> tuple[int, int]:
    """Return the plugin API that a plugin was made for; mtlkit's own components use the newest."""
    made_for = {p.namespace: p.api or "" for p in installed_plugins() if incompatible(p) is None}
    if namespace not in made_for:
        return API
    major, _, minor = made_for[namespace].partition(".")
    return int(major), int(minor)


def _require_loaded(catalog: Catalog, namespace: str) -> None:
    if not namespace:
        return
    records = {plugin.namespace: plugin for plugin in catalog.plugins}
    if namespace not in records:
        raise MtlkitError(
            f"no plugin {namespace!r} is installed{did_you_mean(namespace, records)}; run "
            f"`pip install --editable .` in its folder"
        )
    record = records[namespace]
    if record.status is not PluginStatus.LOADED:
        raise MtlkitError(f"the plugin {namespace!r} {record.status.predicate}: {record.reason}")


def _example(registry: Registry[Any], entry: Entry, given: Component | Example | None) -> Example:
    if isinstance(given, Example):
        return given
    if given is not None:
        return Example(value=given)
    component: Any = registry.get(entry.name)
    if not isinstance(component, type):  # an op or an implementation, which has no options
        return Example(value=component)
    try:
        return Example(value=component())
    except (TypeError, ValueError) as cause:
        raise MtlkitError(
            f"examples: {label_of(registry.plural, entry)} cannot be made from its defaults "
            f"({cause}); give a value of it"
        ) from cause


def _cases(subject: Subject, excuses: Mapping[str, str], api: tuple[int, int]) -> Iterator[Case]:
    family_checks = CHECKS[subject.plural]
    names = [check.name for check in family_checks]
    for name, reason in excuses.items():
        if name not in names:
            raise MtlkitError(
                f"excuses: {subject.label}: no check {name!r}{did_you_mean(name, names)}"
            )
        if not reason.strip():
            raise MtlkitError(f"excuses: {subject.label}: {name}: an excuse needs a reason")
    for check in family_checks:
        excuse = excuses.get(check.name, "")
        yield Case(subject, check, excuse, news=check.since > api and not excuse)
