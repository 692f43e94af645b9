"""The families of tests that a verdict rests on, and the form of what it says."""

from enum import Enum

import attrs

from mtlkit.compare.comparisons import Family, compare_all, compare_with_placebo
from mtlkit.compare.outcomes import Outcomes
from mtlkit.compare.record import Budget


class Mood(Enum):
    """What a sentence is to its reader."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "no difference shown"
    WARNING = "warning"
    LIMIT = "limit"  # of what this study can show


@attrs.frozen
class Statement:
    """One finding."""

    mood: Mood
    text: str


@attrs.frozen(kw_only=True)
class Verdict:
    """What was found on one problem, or on the mean of all."""

    problem: str
    statements: tuple[Statement, ...]


@attrs.frozen(kw_only=True)
class Evidence:
    """What a verdict rests on: the families of tests, by what they were made for."""

    outcomes: Outcomes
    family: Family  # at the budget that decides
    placebo: Family
    at_equal_time: Family | None = None


def gather(outcomes: Outcomes) -> Evidence:
    """The tests of a study."""
    budget = deciding_budget(outcomes)
    timed = Budget.TIME in outcomes.budgets and budget is not Budget.TIME
    return Evidence(
        outcomes=outcomes,
        family=compare_all(outcomes, budget),
        placebo=compare_with_placebo(outcomes, budget),
        at_equal_time=compare_all(outcomes, Budget.TIME) if timed else None,
    )


def deciding_budget(outcomes: Outcomes) -> Budget:
    """The budget that decides: equal epochs, where the study has them."""
    return Budget.EPOCHS if Budget.EPOCHS in outcomes.budgets else outcomes.budgets[0]
