"""The paper's claims as comparisons of arms, seed by seed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

import attrs

from mtlkit_face.study.arms import SIDE_WEIGHTS
from mtlkit_face.study.verdict import Part, State, together

Metrics = Mapping[str, float]
Runs = Mapping[str, Mapping[int, Metrics]]
"""The metrics of finished runs, by arm and seed."""

RANK1 = "face/rank1"
SIDES = {"pose": "yaw", "illumination": "light", "expression": "expression"}
"""The side tasks and the labels they predict."""


@attrs.frozen(kw_only=True)
class Hypothesis:
    """A claim of the paper, and what would have to be positive if it were true."""

    name: str
    claim: str
    parts: Callable[[Runs], Iterable[Part]]

    def judged(self, runs: Runs) -> "Judged":
        """What `runs` say of it."""
        parts = tuple(self.parts(runs))
        return Judged(name=self.name, claim=self.claim, parts=parts, state=together(parts))


@attrs.frozen(kw_only=True)
class Judged:
    """A claim with its verdict, and the numbers behind it."""

    name: str
    claim: str
    parts: tuple[Part, ...]
    state: State


def less(runs: Runs, more: str, fewer: str, metric: str = RANK1, other: str | None = None) -> Part:
    """`metric` of the arm `more` less that (or the `other` metric) of the arm `fewer`."""
    second = other or metric
    words = metric if second == metric else f"{metric} of {more} less {second}"
    same = f"{metric}: {more} less {fewer}"
    return Part(
        unit=same if second == metric else f"{words} of {fewer}",
        values=tuple(
            found[metric] - runs[fewer][seed][second]
            for seed, found in sorted(runs.get(more, {}).items())
            if metric in found and second in runs.get(fewer, {}).get(seed, {})
        ),
    )


def among(runs: Runs, arm: str, unit: str, value: Callable[[Metrics], float | None]) -> Part:
    """A value of each run of one arm; runs that do not have it are left out."""
    found = [value(metrics) for _, metrics in sorted(runs.get(arm, {}).items())]
    return Part(unit=f"{unit} ({arm})", values=tuple(v for v in found if v is not None))


def _side_tasks_help(runs: Runs) -> Iterable[Part]:
    return [less(runs, f"m-cnn-{task}", "s-cnn") for task in SIDES]


def _dynamic_beats_equal(runs: Runs) -> Iterable[Part]:
    yield less(runs, "m-cnn-equal", "s-cnn")
    singles = [f"m-cnn-{task}" for task in SIDES]
    if all(single in runs for single in singles):  # these arms are not of the core
        yield less(runs, max(singles, key=lambda arm: _mean_rank1(runs[arm])), "m-cnn-equal")
    yield less(runs, "m-cnn", "m-cnn-equal")


def _mean_rank1(seeds: Mapping[int, Metrics]) -> float:
    return fmean(found[RANK1] for found in seeds.values())


def _gate_follows_the_lowest_loss(runs: Runs) -> Iterable[Part]:
    unit = "how much lower the heaviest side task's loss is than the mean, over steps"
    yield among(runs, "m-cnn", unit, lambda found: found.get("trace/heaviest-below-mean"))
    # the inverted rule shows that this is the rule's doing, and not the tasks'
    yield among(
        runs, "m-cnn-harder", unit.replace("lower", "higher"),
        lambda found: _negative(found.get("trace/heaviest-below-mean")),
    )  # fmt: skip


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _more_than_regularisation(runs: Runs) -> Iterable[Part]:
    yield less(runs, "m-cnn", "s-cnn")
    yield less(runs, "m-cnn", "s-cnn-l2")


def _identity_sheds_the_rest(runs: Runs) -> Iterable[Part]:
    for label in SIDES.values():
        start = f"face/energy/probe/{label}"
        yield less(runs, "m-cnn", "m-cnn", f"{start}/x", f"{start}/y")
        yield less(runs, "m-cnn", "s-cnn", f"{start}/x")


def _strong_dimensions_are_enough(runs: Runs) -> Iterable[Part]:
    start = "face/energy/rank1"
    # the best n is chosen on the same probes, so that the fall alone is never negative
    falls = [less(runs, arm, arm, f"{start}/x-best", f"{start}/x") for arm in ("m-cnn", "s-cnn")]
    yield Part(
        unit="fall of rank-1 from the best x_n to x: that of m-cnn less that of s-cnn",
        values=tuple(a - b for a, b in zip(*(part.values for part in falls), strict=False)),
    )
    yield among(
        runs, "m-cnn", "0.01 less the largest fall of the curve of y_n",
        lambda found: 0.01 - found[f"{start}/y-falls"] if f"{start}/y-falls" in found else None,
    )  # fmt: skip
    yield among(runs, "m-cnn", "overlap of identity's and pose's dimensions below chance", _below)


def _below(found: Metrics) -> float | None:
    """By how much the shared dimensions, of the largest set, are fewer than chance would have."""
    start = "face/energy/overlap/pose/"
    sizes = [int(n.removeprefix(start)) for n in found if n.startswith(start) and n[-1].isdigit()]
    if not sizes:
        return None
    name = f"{start}{max(sizes)}"
    return found[f"{name}-by-chance"] - found[name]


BRANCHED = ("p-cnn-block", "p-cnn")
"""The forms of branches: what is claimed of branches is claimed of each that was run."""


def _forms(runs: Runs) -> Iterable[str]:
    return [form for form in BRANCHED if form in runs] or BRANCHED[:1]


def _branches_help_across_poses(runs: Runs) -> Iterable[Part]:
    for form in _forms(runs):
        yield less(runs, form, "m-cnn")
        left, right, front = (
            less(runs, form, "m-cnn", f"{RANK1}/group/{group}").values
            for group in ("left", "right", "front")
        )
        yield Part(
            unit=f"gain on profiles less gain on frontal faces: {form} over m-cnn",
            values=tuple((a + b) / 2 - c for a, b, c in zip(left, right, front, strict=True)),
        )


def _expected_beats_best(runs: Runs) -> Iterable[Part]:
    start = "face/pose-errors"
    for form in _forms(runs):
        for share in ("0", "0.2", "0.4"):
            ways = [f"{start}/{share}/{way}/rank1" for way in ("expected", "best")]
            yield less(runs, form, form, *ways)
        yield among(runs, form, "lead of expected routing at 40% errors less that at 0", _growth)


def _growth(found: Metrics) -> float | None:
    start = "face/pose-errors"
    if f"{start}/0/best/rank1" not in found:
        return None
    lead = [found[f"{start}/{s}/expected/rank1"] - found[f"{start}/{s}/best/rank1"]
            for s in ("0", "0.4")]  # fmt: skip
    return lead[1] - lead[0]


def _estimates_suffice(runs: Runs) -> Iterable[Part]:
    yield less(runs, "m-cnn-pose-estimated", "s-cnn")
    lost = less(runs, "m-cnn-pose", "m-cnn-pose-estimated")
    yield Part(
        unit="0.01 less what is lost: rank-1 of m-cnn-pose less that of m-cnn-pose-estimated",
        values=tuple(0.01 - value for value in lost.values),
    )


def _shared_features_are_the_place(runs: Runs) -> Iterable[Part]:
    yield less(runs, "m-cnn-equal", "m-cnn-side-block")
    yield less(runs, "p-cnn", "p-cnn-block")


def _each_sample_its_weight(runs: Runs) -> Iterable[Part]:
    yield less(runs, "m-cnn", "m-cnn-product")
    yield less(runs, "m-cnn", "m-cnn-released")


def _small_batches_help(runs: Runs) -> Iterable[Part]:
    yield less(runs, "m-cnn-batch-8", "m-cnn")


HYPOTHESES: Sequence[Hypothesis] = (
    Hypothesis(
        name="H1",
        claim="Each side task alone raises rank-1 over the single-task network.",
        parts=_side_tasks_help,
    ),
    Hypothesis(
        name="H2",
        claim=(
            "Equal weights beat the single-task network, the best side task alone beats them, and "
            "so do dynamic weights."
        ),
        parts=_dynamic_beats_equal,
    ),
    Hypothesis(
        name="H3",
        claim="Dynamic weights go to the side task with the lowest loss.",
        parts=_gate_follows_the_lowest_loss,
    ),
    Hypothesis(
        name="H4",
        claim="Side tasks help more than stronger L2 regularisation does.",
        parts=_more_than_regularisation,
    ),
    Hypothesis(
        name="H5",
        claim=(
            "The shared features tell pose, light and expression, more of them than the "
            "single-task network's do, and the identity logits less."
        ),
        parts=_identity_sheds_the_rest,
    ),
    Hypothesis(
        name="H6",
        claim=(
            "Rank-1 of the strongest dimensions of x rises and falls again, that of the logits "
            "only rises, and identity and pose use different dimensions."
        ),
        parts=_strong_dimensions_are_enough,
    ),
    Hypothesis(
        name="H7",
        claim="Pose-directed branches help, and mostly on profiles.",
        parts=_branches_help_across_poses,
    ),
    Hypothesis(
        name="H8",
        claim="Stochastic routing beats best routing, the more so the worse poses are estimated.",
        parts=_expected_beats_best,
    ),
    Hypothesis(
        name="H9",
        claim="Estimated poses are good enough as labels of the side task.",
        parts=_estimates_suffice,
    ),
    Hypothesis(
        name="H10",
        claim="Tasks part best at the shared features, as the paper has it, not before block 5.",
        parts=_shared_features_are_the_place,
    ),
    Hypothesis(
        name="H11",
        claim="A weight for each sample beats one for the batch, and the released gradient.",
        parts=_each_sample_its_weight,
    ),
    Hypothesis(
        name="H12",
        claim="Small batches, as the paper's, do better than large ones.",
        parts=_small_batches_help,
    ),
)


def best_side_weight(runs: Runs) -> tuple[float, float] | None:
    """The side weight phi_s with the highest mean rank-1 on validation subjects, and that rank-1.

    None where the search was not run.
    """
    found = []
    for weight in SIDE_WEIGHTS:
        values = [m[RANK1] for m in runs.get(f"search-{weight:g}", {}).values() if RANK1 in m]
        if values:
            found.append((fmean(values), weight))
    if not found:
        return None
    rank1, weight = max(found)
    return weight, rank1
