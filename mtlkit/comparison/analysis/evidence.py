"""The families of tests that a verdict rests on, and the form of what it says."""

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
    """What a sentence is to its reader."""

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
    """What was found on one problem, or on the mean of all."""

    problem: str
    statements: tuple[Statement, ...]


@attrs.frozen(kw_only=True)
class Evidence:
    """What a verdict rests on: the families of tests, by what they were made for."""

    study: StudyResults
    family: ComparisonFamily  # at the budget that decides
    placebo: ComparisonFamily
    at_equal_time: ComparisonFamily | None = None


def gather(study: StudyResults) -> Evidence:
    """The tests of a study."""
    budget = deciding_budget(study)
    timed = Budget.TIME in study.budgets and budget is not Budget.TIME
    return Evidence(
        study=study,
        family=compare_all(study, budget),
        placebo=compare_with_placebo(study, budget),
        at_equal_time=compare_all(study, Budget.TIME) if timed else None,
    )


def deciding_budget(study: StudyResults) -> Budget:
    """The budget that decides: equal epochs, where the study has them."""
    return Budget.EPOCHS if Budget.EPOCHS in study.budgets else study.budgets[0]
