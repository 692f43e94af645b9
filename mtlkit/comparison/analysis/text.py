"""Text of numbers and lists in a verdict."""

from collections.abc import Sequence

from mtlkit.comparison.analysis.baseline_tests import PairedComparison
from mtlkit.report.blocks import Estimate
from mtlkit.report.numbers import signed

SPOKEN = {
    "equal": "equal weights",
    "tuned": "tuned scalarization",
    "single-task": "single-task training",
    "rlw": "random weights",
    "log": "the log of losses",
}
"""Names of baselines in sentences."""


def percent(value: float) -> str:
    """Return a difference in percent, with its sign.

    >>> percent(3.21), percent(-0.5), percent(0.004)
    ('+3.2%', '−0.5%', '0.0%')
    """
    return f"{signed(value)}%"


def interval(estimate: Estimate) -> str:
    """Return an interval in percent: ``+1.1 to +5.3``."""
    if estimate.low is None or estimate.high is None:
        return "no interval"
    return f"{signed(estimate.low)} to {signed(estimate.high)}"


def by_how_much(comparison: PairedComparison) -> str:
    """Return the mean, its interval and the adjusted p of a comparison."""
    estimate = comparison.estimate
    return (
        f"{percent(estimate.mean)} (95% interval {interval(estimate)}; "
        f"adjusted {p_value(comparison.adjusted)})"
    )


def p_value(value: float) -> str:
    """Return a p-value with two significant digits.

    >>> p_value(0.0432), p_value(0.00001), p_value(0.5), p_value(1.0)
    ('p = 0.043', 'p < 0.001', 'p = 0.50', 'p = 1')
    """
    if value < 0.001:
        return "p < 0.001"
    if value > 0.995:
        return "p = 1"
    return f"p = {value:.2f}" if value >= 0.1 else f"p = {value:.2g}"


def listed(names: Sequence[str]) -> str:
    """Return names joined with commas and "and".

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "seed"), counted(1200, "run")
    ('1 seed', '1,200 runs')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
