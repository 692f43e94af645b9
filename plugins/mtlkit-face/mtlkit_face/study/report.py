"""The report of a study: results with intervals and verdicts, next to the paper's."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from mtlkit.evaluators import Block, Chart, Section, Series, TableBlock, Text
from mtlkit_face.study.claim_parts import (
    RANK1,
    SIDES,
    ClaimPart,
    ClaimState,
    Runs,
    difference,
    search_results,
)
from mtlkit_face.study.claims import ClaimResult, judge_all
from mtlkit_face.study.hypotheses import HYPOTHESES
from mtlkit_face.study.learning_curves import curve_charts
from mtlkit_face.study.paper_results import PAPER_RESULTS, PaperResult
from mtlkit_face.study.sizes import Arm, Size

BASELINE = "s-cnn"
MANY = 8  # networks that a page describes one by one; a chart and tables have more

COLUMNS: Mapping[str, str] = {
    "rank1": RANK1,
    "left": f"{RANK1}/group/left",
    "front": f"{RANK1}/group/front",
    "right": f"{RANK1}/group/right",
    **{task: f"test/{task}/accuracy" for task in SIDES},
}
"""The metric of each column of the paper's table."""


@attrs.frozen(kw_only=True)
class FaceStudy:
    """The content of a report: the study's size, arms and seeds, and the finished runs."""

    size: Size
    arms: Sequence[Arm]
    seeds: Sequence[int]
    runs: Runs
    failed: Mapping[str, str] = attrs.field(factory=dict)  # errors, by "arm, seed"
    poses: Mapping[str, str] = attrs.field(factory=dict)  # accuracy of the estimates, by seed
    versions: Mapping[str, str] = attrs.field(factory=dict)  # of libraries, in the first run

    @property
    def missing(self) -> int:
        """The number of unfinished runs."""
        total = len(self.arms) * len(self.seeds)
        return total - sum(len(self.runs.get(arm.name, {})) for arm in self.arms)

    def claims(self) -> list[ClaimResult]:
        """Return every hypothesis with its verdict."""
        return judge_all(HYPOTHESES, self.runs)


def sections(study: FaceStudy) -> tuple[Section, ...]:
    """Return the sections of the report, the answers first."""
    parts: Mapping[str, Iterable[Block]] = {
        "What the study shows": _answers(study),
        "Comparison with the paper": [
            *_comparison_with_paper(study),
            *_routing(study),
            *_wrong_poses(study),
        ],
        "Every claim and its numbers": _numbers(study),
        "Learning curves": curve_charts(study.runs, _described(study)),
        "Setup": _setup(study),
    }
    titled = (Section(title=title, blocks=tuple(blocks)) for title, blocks in parts.items())
    return tuple(section for section in titled if section.blocks)


def _answers(study: FaceStudy) -> Iterator[Block]:
    yield Text(text=_state(study))
    yield TableBlock(
        header=("", "verdict", "evidence", "claim"),
        rows=tuple(
            (claim.name, claim.state.value, claim.evidence(), claim.claim)
            for claim in study.claims()
        ),
        caption="A claim is supported if the 95 % interval of each of its differences, over paired "
        "seeds, is above 0, and contradicted if one is below 0, adjusted for the number of "
        "differences of the claim (Holm). Verdicts are adjusted for the number of claims with runs "
        "(Holm); missing seeds would decide them with a power of 0.8. Every seed has its own "
        "people; the verdicts are about rendered people only.",
    )
    gains = dict(_gains(study))
    if gains:
        yield Chart(
            title=f"Rank-1 less that of {BASELINE}, in points",
            kind="bar",
            x_label="network",
            y_label="points",
            series={
                "mean": Series(
                    x=tuple(gains), y=tuple(100 * part.estimate.mean for part in gains.values())
                ),
            },
        )


def _described(study: FaceStudy) -> list[str]:
    """Return the networks with a sentence and learning curves: all, or the core ones of many."""
    return [arm.name for arm in study.arms if arm.core or len(study.arms) <= MANY]


def _state(study: FaceStudy) -> str:
    total = len(study.arms) * len(study.seeds)
    seeds = f"{len(study.seeds)} paired seed{'s' if len(study.seeds) != 1 else ''}"
    text = f"{total - study.missing} of {total} runs are finished "
    text += f"({len(study.arms)} networks, {seeds}). "
    if baseline := study.runs.get(BASELINE):
        mean = sum(metrics[RANK1] for metrics in baseline.values()) / len(baseline)
        text += f"The single-task network has rank-1 {mean:.3f}. "
        for arm, part in _gains(study):
            if arm in _described(study):
                text += f"{arm}: {_points(part)}, {_relative(part, mean)}. "
    return text + "Faces are rendered; the paper's are photographs of Multi-PIE."


def _gains(study: FaceStudy) -> Iterator[tuple[str, ClaimPart]]:
    for arm in study.arms:
        part = difference(study.runs, arm.name, BASELINE)
        if arm.name != BASELINE and part.values and not arm.name.startswith("search-"):
            yield arm.name, part


def _points(part: ClaimPart) -> str:
    estimate = part.estimate
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        interval = f" [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"
    return f"{100 * estimate.mean:+.1f} points{interval}"


def _relative(part: ClaimPart, baseline: float) -> str:
    if baseline >= 1:
        return "no errors left to reduce"
    return f"{100 * part.estimate.mean / (1 - baseline):+.0f} % of the errors"


def _comparison_with_paper(study: FaceStudy) -> Iterator[Block]:
    rows = []
    for arm in study.arms:
        runs = study.runs.get(arm.name, {})
        if arm.name.startswith("search-") or not runs:
            continue
        rows.append(
            (f"{arm.name}: {arm.about}", *(_cell(runs.values(), m) for m in COLUMNS.values()))
        )
        if arm.name in PAPER_RESULTS:
            rows.append(("· the paper", *_reported(PAPER_RESULTS[arm.name])))
    yield TableBlock(
        header=("percent", "rank-1", *list(COLUMNS)[1:]),
        rows=tuple(rows),
        caption="Mean over seeds ± half the 95 % interval, on unseen subjects; side tasks by "
        "accuracy. The paper's figures are for Multi-PIE: compare the order and the differences, "
        "not the values. They are recollections and were not checked. Left means negative yaws "
        "here; the paper does not define it.",
    )


WAYS = ("generic", "branches", "best", "expected", "label")
"""The ways to compute templates of a network with branches."""


def _routing(study: FaceStudy) -> Iterator[TableBlock]:
    rows = []
    for arm in study.arms:
        runs = study.runs.get(arm.name, {})
        if any(f"face/{way}/rank1" in metrics for metrics in runs.values() for way in WAYS):
            rows.append((arm.name, *(_cell(runs.values(), f"face/{way}/rank1") for way in WAYS)))
    if rows:
        yield TableBlock(
            header=("percent", *WAYS),
            rows=tuple(rows),
            caption="Rank-1 by routing: the generic identity head alone, the pose branches alone, "
            "and both, with the branch of the likeliest group, in expectation (the paper's "
            "stochastic routing, eq. 12) and of the true group.",
        )


ERRORS = re.compile(r"face/pose-errors/(?P<share>[0-9.]+)/(?P<way>\w+)/rank1")


def _wrong_poses(study: FaceStudy) -> Iterator[TableBlock]:
    """Yield rank-1 under wrong pose estimates, with a row for each share of them."""
    rows = []
    for arm in study.arms:
        runs = study.runs.get(arm.name, {}).values()
        matches = [ERRORS.fullmatch(name) for metrics in runs for name in metrics]
        for share in sorted({float(match["share"]) for match in matches if match}):
            start = f"face/pose-errors/{share:g}"
            ways = (_cell(runs, f"{start}/{way}/rank1") for way in ("expected", "best"))
            rows.append((arm.name, f"{share:.0%}", *ways, _cell(runs, "face/label/rank1")))
    if rows:
        yield TableBlock(
            header=("percent", "wrong", "expected", "best", "label"),
            rows=tuple(rows),
            caption="Rank-1 if a share of the pose estimates is replaced by those of images of "
            "another group, which are as confident; by the true group for comparison.",
        )


def _cell(runs: Iterable[Mapping[str, float]], metric: str) -> str:
    values = [metrics[metric] for metrics in runs if metric in metrics]
    if not values:
        return "–"  # noqa: RUF001 - the dash of an empty cell
    return _percent(ClaimPart(unit=metric, values=values))


def _percent(part: ClaimPart) -> str:
    estimate = part.estimate
    half = ""
    if estimate.low is not None and estimate.high is not None:
        half = f" ± {50 * (estimate.high - estimate.low):.1f}"
    return f"{100 * estimate.mean:.1f}{half}"


def _reported(row: PaperResult) -> tuple[str, ...]:
    values = [getattr(row, name) for name in COLUMNS]
    return tuple("–" if value is None else f"{value:.2f}" for value in values)  # noqa: RUF001


def _numbers(study: FaceStudy) -> Iterator[Block]:
    rows = []
    for claim in study.claims():
        for part in claim.parts:
            estimate = part.estimate
            open_ = part.state is ClaimState.UNDECIDED
            needed = part.seeds_needed() if open_ else None
            rows.append(
                (
                    claim.name,
                    part.state.value,
                    len(part.values),
                    estimate.mean,
                    "" if estimate.low is None else f"{estimate.low:+.4f} to {estimate.high:+.4f}",
                    "" if needed is None else needed,
                    part.unit,
                )
            )
    yield TableBlock(
        header=(
            "",
            "",
            "seeds",
            "mean",
            "95 % interval",
            "seeds needed",
            "positive if the claim holds",
        ),
        rows=tuple(rows),
        caption="Seeds needed: the number of paired seeds that detects a mean of this size with a "
        "power of 0.8, if the difference is undecided.",
    )
    yield from _search(study)


def _search(study: FaceStudy) -> Iterator[Block]:
    results = search_results(study.runs)
    if not results:
        return
    best = max(results, key=lambda weight: results[weight].estimate.mean)
    yield TableBlock(
        header=("total side weight", "rank-1", "seeds"),
        rows=tuple(
            (f"{weight:g}", _percent(part), len(part.values)) for weight, part in results.items()
        ),
        caption=f"The search over the side weight, equal among tasks, on training subjects held "
        f"out, in percent: {best:g} is best; the paper chose 0.1.",
    )


def _setup(study: FaceStudy) -> Iterator[Block]:
    yield Text(text=f"Size {study.size.name}: {study.size.about}.")
    yield TableBlock(
        header=("", "network", "seconds a run"),
        rows=tuple(
            (a.name, a.about, _seconds(study.runs.get(a.name, {}).values())) for a in study.arms
        ),
    )
    for seed, accuracy in study.poses.items():
        yield Text(text=f"Seed {seed}: by a network trained on other people, {accuracy}.")
    if study.failed:
        yield TableBlock(
            header=("run", "error"),
            rows=tuple(study.failed.items()),
            caption="Failed runs; the same command retries them.",
        )


def _seconds(runs: Iterable[Mapping[str, float]]) -> float:
    values = [metrics["seconds"] for metrics in runs]
    return sum(values) / len(values) if values else math.nan
