"""The families of tests behind a verdict, and the statements of a verdict."""

from enum import Enum

import attrs

from mtlkit.comparison.analysis.baseline_tests import (
    ComparisonFamily,
    compare_all,
    compare_with_placebo,
)
from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.results.study_results import StudyResults


class StatementKind(Enum):
    """Category of a statement."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    WARNING = "warning"
    LIMIT = "limit"  # of what this study can show


@attrs.frozen
class Statement:
    """One finding."""

    kind: StatementKind
    text: str


@attrs.frozen(kw_only=True)
class Verdict:
    """The statements about one problem, or about the mean of all."""

    problem: str
    statements: tuple[Statement, ...]


@attrs.frozen(kw_only=True)
class Evidence:
    """The families of tests behind a verdict, by purpose."""

    study: StudyResults
    family: ComparisonFamily  # at the budget that decides
    placebo: ComparisonFamily
    at_equal_time: ComparisonFamily | None = None


def gather(study: StudyResults) -> Evidence:
    """Return the tests of a study."""
    budget = deciding_budget(study)
    timed = Budget.TIME in study.budgets and budget is not Budget.TIME
    return Evidence(
        study=study,
        family=compare_all(study, budget),
        placebo=compare_with_placebo(study, budget),
        at_equal_time=compare_all(study, Budget.TIME) if timed else None,
    )


def deciding_budget(study: StudyResults) -> Budget:
    """Return the budget of the verdict: equal epochs, if the study has them."""
    return Budget.EPOCHS if Budget.EPOCHS in study.budgets else study.budgets[0]
