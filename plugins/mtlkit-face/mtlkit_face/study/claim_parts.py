"""Differences between arms over paired seeds, and the tests of a claim on them."""

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
from mtlkit.evaluators import Estimate
from mtlkit_face.study.arms import SIDE_WEIGHTS


class ClaimState(Enum):
    """The verdict on a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


def _without_rounding_errors(values: Sequence[float]) -> tuple[float, ...]:
    """Round values, so that equal rates differ by exactly 0: 0.01 - (0.8 - 0.79) is -8.7e-18."""
    return tuple(round(value, 12) for value in values)


@attrs.frozen(kw_only=True)
class ClaimPart:
    """One comparison of a claim, which holds if `values`, one for each seed, are positive.

    `unit` describes a value, such as "rank-1 of m-cnn less that of s-cnn"; `arms` are those whose
    runs it needs.
    """

    unit: str
    values: Sequence[float] = attrs.field(default=(), converter=_without_rounding_errors)
    arms: tuple[str, ...] = ()

    @property
    def estimate(self) -> Estimate:
        """The mean over seeds with Student's interval; NaN without values."""
        return student_mean(self.values) if self.values else Estimate(math.nan, count=0)

    @property
    def p(self) -> float:
        """The two-sided p-value of Student's paired test; 1 for fewer than two values."""
        return paired_test(self.values)

    @property
    def state(self) -> ClaimState:
        """The verdict of Student's paired test on a positive mean.

        >>> ClaimPart(unit="gain", values=(0.02, 0.03, 0.025)).state.value
        'supported'
        >>> ClaimPart(unit="gain", values=(0.02, -0.03, 0.01)).state.value
        'undecided'
        """
        if not self.values:
            return ClaimState.NOT_RUN
        if self.p >= ALPHA:
            return ClaimState.UNDECIDED
        return ClaimState.SUPPORTED if self.estimate.mean > 0 else ClaimState.CONTRADICTED

    def seeds_needed(self, tests: int = 1) -> int | None:
        """Return the number of seeds that detects a mean of this size with a power of 0.8.

        It is the `tests`-th part of the level that must be reached (Bonferroni). None with fewer
        than two values, and for a mean that 1,000 seeds would not detect.
        """
        if len(self.values) < 2:
            return None
        return seeds_needed(self.estimate.mean, std(self.values), ALPHA / tests)


def claim_state(parts: Sequence[ClaimPart]) -> ClaimState:
    """Return the verdict on a claim that needs all of its parts.

    A claim is supported if the test of each part supports it. Any single part can contradict it,
    so those tests are adjusted for their number (Holm).

    >>> one, two = ClaimPart(unit="a", values=(1.0, 1.1)), ClaimPart(unit="b")
    >>> claim_state([one, two]).value
    'not run'
    """
    if not parts or not all(part.values for part in parts):
        return ClaimState.NOT_RUN
    if _p_contradicted(parts) < ALPHA:
        return ClaimState.CONTRADICTED
    return ClaimState.SUPPORTED if _p_supported(parts) < ALPHA else ClaimState.UNDECIDED


def claim_p(parts: Sequence[ClaimPart]) -> float:
    """Return the p-value of the verdict on a claim, before an adjustment for other claims.

    >>> one, two = (ClaimPart(unit="a", values=(x, 1.1, 0.9)) for x in (1.0, 0.2))
    >>> claim_p([one, two]) == two.p
    True
    """
    return min(_p_supported(parts), _p_contradicted(parts))


def _p_supported(parts: Sequence[ClaimPart]) -> float:
    """Return the p-value of the test that all means are positive: that of the weakest part."""
    return max((part.p if part.estimate.mean > 0 else 1.0 for part in parts), default=1.0)


def _p_contradicted(parts: Sequence[ClaimPart]) -> float:
    """Return the least p-value, adjusted (Holm), of the parts with a negative mean."""
    adjusted = holm([part.p for part in parts])
    below = (p for p, part in zip(adjusted, parts, strict=True) if part.estimate.mean < 0)
    return min(below, default=1.0)


Metrics = Mapping[str, float]
Runs = Mapping[str, Mapping[int, Metrics]]
"""The metrics of finished runs, by arm and seed."""

RANK1 = "face/rank1"
MIRRORED = "face/mirrored/rank1"
SIDES = {"pose": "yaw", "illumination": "light", "expression": "expression"}
"""The side tasks and the labels they predict."""


def difference(
    runs: Runs, first: str, second: str, metric: str = RANK1, other: str | None = None
) -> ClaimPart:
    """Return `metric` of the arm `first` less that (or the `other` metric) of the arm `second`."""
    same = other is None or other == metric
    unit = f"{metric}: {first} less {second}"
    return ClaimPart(
        unit=unit if same else f"{metric} of {first} less {other} of {second}",
        values=tuple(differences_by_seed(runs, first, second, metric, other).values()),
        arms=tuple(dict.fromkeys((first, second))),
    )


def differences_by_seed(
    runs: Runs, first: str, second: str, metric: str, other: str | None = None
) -> dict[int, float]:
    """Return by seed `metric` of the arm `first` less that (or the `other`) of `second`."""
    other = other or metric
    return {
        seed: metrics[metric] - runs[second][seed][other]
        for seed, metrics in sorted(runs.get(first, {}).items())
        if metric in metrics and other in runs.get(second, {}).get(seed, {})
    }


def values_of_arm(
    runs: Runs, arm: str, unit: str, value: Callable[[Metrics], float | None]
) -> ClaimPart:
    """Return `value` of each run of one arm, without those for which it is None."""
    values = [value(metrics) for _, metrics in sorted(runs.get(arm, {}).items())]
    shown = tuple(value for value in values if value is not None)
    return ClaimPart(unit=f"{unit} ({arm})", values=shown, arms=(arm,))


def search_results(runs: Runs) -> dict[float, ClaimPart]:
    """Return rank-1 on validation subjects by the side weight phi_s, for finished runs."""
    results = {
        weight: values_of_arm(runs, f"search-{weight:g}", RANK1, lambda m: m.get(RANK1))
        for weight in SIDE_WEIGHTS
    }
    return {weight: part for weight, part in results.items() if part.values}
