"""The differences that a claim is judged by, seed by seed, and what they show of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import attrs

from mtlkit.comparison import (
    ALPHA,
    holm,
    paired_test,
    seeds_needed,
    std,
    student_mean,
)
from mtlkit.report import Estimate
from mtlkit_face.study.arms import SIDE_WEIGHTS


class ClaimState(Enum):
    """What is shown of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


@attrs.frozen(kw_only=True)
class ClaimPart:
    """One comparison of a claim: it holds where `values`, one for each seed, are positive.

    `unit` says what a value is, such as "rank-1 of m-cnn less that of s-cnn".
    """

    unit: str
    values: Sequence[float] = ()

    @property
    def estimate(self) -> Estimate:
        """The mean over seeds with Student's interval; NaN without any."""
        return student_mean(self.values) if self.values else Estimate(math.nan, count=0)

    @property
    def state(self) -> ClaimState:
        """What Student's paired test says of the claim that the mean is positive.

        >>> ClaimPart(unit="gain", values=(0.02, 0.03, 0.025)).state.value
        'supported'
        >>> ClaimPart(unit="gain", values=(0.02, -0.03, 0.01)).state.value
        'undecided'
        """
        if not self.values:
            return ClaimState.NOT_RUN
        if paired_test(self.values) >= ALPHA:
            return ClaimState.UNDECIDED
        return ClaimState.SUPPORTED if self.estimate.mean > 0 else ClaimState.CONTRADICTED

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would show a mean of this size four times in five."""
        if len(self.values) < 2:
            return None
        return seeds_needed(self.estimate.mean, std(self.values), ALPHA)


def claim_state(parts: Sequence[ClaimPart]) -> ClaimState:
    """What several parts say of a claim that needs all of them.

    Each part alone must be shown to support it. Any one can contradict it, so these tests are
    adjusted for their number (Holm).

    >>> one, two = ClaimPart(unit="a", values=(1.0, 1.1)), ClaimPart(unit="b")
    >>> claim_state([one, two]).value
    'not run'
    """
    if not parts or not all(part.values for part in parts):
        return ClaimState.NOT_RUN
    adjusted = holm([paired_test(part.values) for part in parts])
    if any(p < ALPHA and q.estimate.mean < 0 for p, q in zip(adjusted, parts, strict=True)):
        return ClaimState.CONTRADICTED
    supported = all(part.state is ClaimState.SUPPORTED for part in parts)
    return ClaimState.SUPPORTED if supported else ClaimState.UNDECIDED


Metrics = Mapping[str, float]
Runs = Mapping[str, Mapping[int, Metrics]]
"""The metrics of finished runs, by arm and seed."""

RANK1 = "face/rank1"
SIDES = {"pose": "yaw", "illumination": "light", "expression": "expression"}
"""The side tasks and the labels they predict."""


def less(
    runs: Runs, more: str, fewer: str, metric: str = RANK1, other: str | None = None
) -> ClaimPart:
    """`metric` of the arm `more` less that (or the `other` metric) of the arm `fewer`."""
    second = other or metric
    words = metric if second == metric else f"{metric} of {more} less {second}"
    same = f"{metric}: {more} less {fewer}"
    differences = differences_of(runs, more, fewer, metric, second)
    return ClaimPart(
        unit=same if second == metric else f"{words} of {fewer}",
        values=tuple(differences.values()),
    )


def differences_of(
    runs: Runs, more: str, fewer: str, metric: str, other: str | None = None
) -> dict[int, float]:
    """By seed, `metric` of the arm `more` less that (or the `other` one) of the arm `fewer`."""
    second = other or metric
    return {
        seed: found[metric] - runs[fewer][seed][second]
        for seed, found in sorted(runs.get(more, {}).items())
        if metric in found and second in runs.get(fewer, {}).get(seed, {})
    }


def among(runs: Runs, arm: str, unit: str, value: Callable[[Metrics], float | None]) -> ClaimPart:
    """A value of each run of one arm; runs that do not have it are left out."""
    found = [value(metrics) for _, metrics in sorted(runs.get(arm, {}).items())]
    return ClaimPart(unit=f"{unit} ({arm})", values=tuple(v for v in found if v is not None))


def searched(runs: Runs) -> dict[float, ClaimPart]:
    """Rank-1 on validation subjects by the side weight phi_s; those that were run."""
    found = {
        weight: among(runs, f"search-{weight:g}", RANK1, lambda metrics: metrics.get(RANK1))
        for weight in SIDE_WEIGHTS
    }
    return {weight: part for weight, part in found.items() if part.values}
