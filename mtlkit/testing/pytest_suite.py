"""The conformance kit as a pytest test."""

from collections.abc import Callable, Mapping
from typing import Any

from mtlkit.component import Component
from mtlkit.errors import MissingExtraError
from mtlkit.plugins.catalog import Catalog
from mtlkit.testing.check import Example
from mtlkit.testing.suite import Case, suite_of


def conformance(
    namespace: str,
    *,
    examples: Mapping[str, Component | Example] | None = None,
    excuses: Mapping[str, Mapping[str, str]] | None = None,
    catalog: Catalog | None = None,
) -> Callable[[Any], None]:
    """Return a pytest test of every check of every component of the plugin with `namespace`.

    Its arguments are those of `suite_of`. An excused check must fail: once it passes, remove the
    excuse. A check that is newer than the plugin API of the plugin may fail, and one of a component
    whose optional package is not installed is skipped. Raises the errors of
    `suite_of`, while pytest collects, and `MissingExtraError` if pytest is not installed.
    """
    try:
        import pytest
    except ImportError as cause:
        raise MissingExtraError(
            "the conformance kit needs pytest, which is not installed; run "
            "`pip install 'mtlkit[testing]'`"
        ) from cause
    suite = suite_of(namespace, examples, excuses, catalog)

    def parameter(case: Case) -> Any:
        marks = [pytest.mark.xfail(reason=case.excuse, strict=True)] if case.excuse else []
        if case.news:
            reason = f"new in plugin API {case.check.since[0]}.{case.check.since[1]}"
            marks = [pytest.mark.xfail(reason=reason, strict=False)]
        return pytest.param(case, id=case.name, marks=marks)

    @pytest.mark.parametrize("case", [parameter(case) for case in suite.cases])
    def test_conformance(case: Case) -> None:
        try:
            case.run()
        except MissingExtraError as cause:
            pytest.skip(str(cause))

    test_conformance.__doc__ = str(suite)
    return test_conformance
