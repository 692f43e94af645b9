"""What the runs of a study measured, and how two arms differ, seed by seed."""

from collections.abc import Callable, Mapping

from mtlkit_face.study.verdict import Part

Metrics = Mapping[str, float]
Runs = Mapping[str, Mapping[int, Metrics]]
"""The metrics of finished runs, by arm and seed."""

RANK1 = "face/rank1"
SIDES = {"pose": "yaw", "illumination": "light", "expression": "expression"}
"""The side tasks and the labels they predict."""


def less(runs: Runs, more: str, fewer: str, metric: str = RANK1, other: str | None = None) -> Part:
    """`metric` of the arm `more` less that (or the `other` metric) of the arm `fewer`."""
    second = other or metric
    words = metric if second == metric else f"{metric} of {more} less {second}"
    same = f"{metric}: {more} less {fewer}"
    differences = differences_of(runs, more, fewer, metric, second)
    return Part(
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


def among(runs: Runs, arm: str, unit: str, value: Callable[[Metrics], float | None]) -> Part:
    """A value of each run of one arm; runs that do not have it are left out."""
    found = [value(metrics) for _, metrics in sorted(runs.get(arm, {}).items())]
    return Part(unit=f"{unit} ({arm})", values=tuple(v for v in found if v is not None))
