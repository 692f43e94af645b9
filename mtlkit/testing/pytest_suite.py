"""The conformance kit as a pytest test of every check of every component of a plugin."""

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
    """A pytest test of every check of every component of the plugin with `namespace`.

    Its arguments are those of `suite_of`. An excused check must fail: once it passes, the excuse
    is an error and is to be taken out. One that came with a later plugin API than the plugin was
    made for may fail. Errors are those of `suite_of`, raised while pytest
    collects; `MissingExtraError` where pytest is not installed.
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
            told = f"new in plugin API {case.check.since[0]}.{case.check.since[1]}"
            marks = [pytest.mark.xfail(reason=told, strict=False)]
        return pytest.param(case, id=case.name, marks=marks)

    @pytest.mark.parametrize("case", [parameter(case) for case in suite.cases])
    def test_conformance(case: Case) -> None:
        case.run()

    test_conformance.__doc__ = str(suite)
    return test_conformance
