"""A study as tables and words: beside the paper's figures, with intervals and verdicts."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from mtlkit.report import Block, Chart, Section, Series, TableBlock, Text
from mtlkit_face.study.arms import Arm, Size
from mtlkit_face.study.claim_parts import RANK1, SIDES, ClaimPart, ClaimState, Runs, less, searched
from mtlkit_face.study.hypotheses import HYPOTHESES, JudgedClaim
from mtlkit_face.study.learning_curves import curve_charts
from mtlkit_face.study.paper_results import REPORTED, Reported

BASELINE = "s-cnn"

COLUMNS: Mapping[str, str] = {
    "rank1": RANK1,
    "left": f"{RANK1}/group/left",
    "front": f"{RANK1}/group/front",
    "right": f"{RANK1}/group/right",
    **{task: f"test/{task}/accuracy" for task in SIDES},
}
"""The columns of the paper's table, and the metrics that fill them."""


@attrs.frozen(kw_only=True)
class FaceStudy:
    """All that is said of a study: its size, its arms, its seeds and the runs that are finished."""

    size: Size
    arms: Sequence[Arm]
    seeds: Sequence[int]
    runs: Runs
    failed: Mapping[str, str] = attrs.field(factory=dict)  # why, by "arm, seed"
    poses: Mapping[str, str] = attrs.field(factory=dict)  # how right estimates are, by seed
    versions: Mapping[str, str] = attrs.field(factory=dict)  # what the first run was made with

    @property
    def missing(self) -> int:
        """How many runs are not finished."""
        wanted = len(self.arms) * len(self.seeds)
        return wanted - sum(len(self.runs.get(arm.name, {})) for arm in self.arms)

    def judged(self) -> list[JudgedClaim]:
        """Every hypothesis with its verdict."""
        return [hypothesis.judged(self.runs) for hypothesis in HYPOTHESES]


def sections(study: FaceStudy) -> tuple[Section, ...]:
    """The report of the study, the answers first."""
    parts: Mapping[str, Iterable[Block]] = {
        "What the study shows": _answers(study),
        "Beside the paper": [
            *_beside_the_paper(study),
            *_routing(study),
            *_wrong_poses(study),
        ],
        "Every claim and its numbers": _numbers(study),
        "How they learn": curve_charts(study.runs, [arm.name for arm in study.arms]),
        "How it was made": _made(study),
    }
    made = (Section(title=title, blocks=tuple(blocks)) for title, blocks in parts.items())
    return tuple(section for section in made if section.blocks)


def _answers(study: FaceStudy) -> Iterator[Block]:
    yield Text(text=_state(study))
    yield TableBlock(
        header=("", "verdict", "claim"),
        rows=tuple((one.name, one.state.value, one.claim) for one in study.judged()),
        caption="A claim is supported where the 95 % interval of every one of its differences, "
        "over paired seeds, lies above 0, and contradicted where one is shown to be below 0, "
        "adjusted for how many differences the claim has (Holm). Every seed has "
        "people of its own; a claim is judged for rendered people, and for no others.",
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


def _state(study: FaceStudy) -> str:
    total = len(study.arms) * len(study.seeds)
    done = total - study.missing
    seeds = f"{len(study.seeds)} paired seed{'s' if len(study.seeds) != 1 else ''}"
    text = f"{done} of {total} runs are finished ({len(study.arms)} networks, {seeds}). "
    found = study.runs.get(BASELINE, {})
    if found:
        mean = sum(metrics[RANK1] for metrics in found.values()) / len(found)
        text += f"The single-task network has rank-1 {mean:.3f}. "
        for arm, part in _gains(study):
            text += f"{arm}: {_points(part)}, {_relative(part, mean)}. "
    return text + "Faces are rendered; the paper's are photographs of Multi-PIE."


def _gains(study: FaceStudy) -> Iterator[tuple[str, ClaimPart]]:
    for arm in study.arms:
        part = less(study.runs, arm.name, BASELINE)
        if arm.name != BASELINE and part.values and not arm.name.startswith("search-"):
            yield arm.name, part


def _points(part: ClaimPart) -> str:
    found = part.estimate
    inside = ""
    if found.low is not None and found.high is not None:
        inside = f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{100 * found.mean:+.1f} points{inside}"


def _relative(part: ClaimPart, baseline: float) -> str:
    if baseline >= 1:
        return "no error was left to reduce"
    return f"{100 * part.estimate.mean / (1 - baseline):+.0f} % of the errors"


def _beside_the_paper(study: FaceStudy) -> Iterator[Block]:
    rows = []
    for arm in study.arms:
        runs = study.runs.get(arm.name, {})
        if arm.name.startswith("search-") or not runs:
            continue
        rows.append(
            (f"{arm.name}: {arm.about}", *(_cell(runs.values(), m) for m in COLUMNS.values()))
        )
        if arm.name in REPORTED:
            rows.append(("· the paper", *_reported(REPORTED[arm.name])))
    yield TableBlock(
        header=("percent", "rank-1", *list(COLUMNS)[1:]),
        rows=tuple(rows),
        caption="Mean over seeds ± half the 95 % interval, on subjects that no network has seen; "
        "side tasks by accuracy. The paper's figures are for Multi-PIE and serve for the order "
        "and the distances, not for their height; they are recollections, not checked word by "
        "word. Left are negative yaws here; which side the paper calls left is not known for sure.",
    )


WAYS = ("generic", "branches", "best", "expected", "label")
"""How the templates of a network with branches are made."""


def _routing(study: FaceStudy) -> Iterator[TableBlock]:
    rows = []
    for arm in study.arms:
        runs = study.runs.get(arm.name, {})
        if any(f"face/{way}/rank1" in found for found in runs.values() for way in WAYS):
            rows.append((arm.name, *(_cell(runs.values(), f"face/{way}/rank1") for way in WAYS)))
    if rows:
        yield TableBlock(
            header=("percent", *WAYS),
            rows=tuple(rows),
            caption="Rank-1 by way of routing: the generic identity head alone, the pose branches "
            "alone, and both, the branches by the likeliest group, by expectation (the paper's "
            "stochastic routing, eq. 12) and by the true group.",
        )


ERRORS = re.compile(r"face/pose-errors/(?P<share>[0-9.]+)/(?P<way>\w+)/rank1")


def _wrong_poses(study: FaceStudy) -> Iterator[TableBlock]:
    """How routing stands wrong estimates of the pose: a row for each share of them."""
    rows = []
    for arm in study.arms:
        runs = study.runs.get(arm.name, {}).values()
        named = [ERRORS.fullmatch(name) for metrics in runs for name in metrics]
        for share in sorted({float(each["share"]) for each in named if each}):
            start = f"face/pose-errors/{share:g}"
            ways = (_cell(runs, f"{start}/{way}/rank1") for way in ("expected", "best"))
            rows.append((arm.name, f"{share:.0%}", *ways, _cell(runs, "face/label/rank1")))
    if rows:
        yield TableBlock(
            header=("percent", "wrong", "expected", "best", "label"),
            rows=tuple(rows),
            caption="Rank-1 where a share of the pose estimates is replaced by that of an image "
            "of another group, as sure as estimates are; by the true group for comparison.",
        )


def _cell(runs: Iterable[Mapping[str, float]], metric: str) -> str:
    values = [metrics[metric] for metrics in runs if metric in metrics]
    if not values:
        return "–"  # noqa: RUF001 - a dash is what a table wants
    return _percent(ClaimPart(unit=metric, values=values))


def _percent(part: ClaimPart) -> str:
    found = part.estimate
    half = ""
    if found.low is not None and found.high is not None:
        half = f" ± {50 * (found.high - found.low):.1f}"
    return f"{100 * found.mean:.1f}{half}"


def _reported(row: Reported) -> tuple[str, ...]:
    values = [getattr(row, name) for name in COLUMNS]
    return tuple("–" if value is None else f"{value:.2f}" for value in values)  # noqa: RUF001


def _numbers(study: FaceStudy) -> Iterator[Block]:
    rows = []
    for one in study.judged():
        for part in one.parts:
            found = part.estimate
            needed = part.seeds_needed if part.state is ClaimState.UNDECIDED else None
            rows.append(
                (
                    one.name,
                    part.state.value,
                    len(part.values),
                    found.mean,
                    "" if found.low is None else f"{found.low:+.4f} to {found.high:+.4f}",
                    "" if needed is None else needed,
                    part.unit,
                )
            )
    yield TableBlock(
        header=("", "", "seeds", "mean", "95 % interval", "wanted", "what is positive if it holds"),
        rows=tuple(rows),
        caption="Wanted is how many paired seeds would show a mean of this size four "
        "times in five, where nothing is shown yet.",
    )
    yield from _search(study)


def _search(study: FaceStudy) -> Iterator[Block]:
    found = searched(study.runs)
    if not found:
        return
    best = max(found, key=lambda weight: found[weight].estimate.mean)
    yield TableBlock(
        header=("side weights in all", "rank-1", "seeds"),
        rows=tuple(
            (f"{weight:g}", _percent(part), len(part.values)) for weight, part in found.items()
        ),
        caption=f"The search over the side weight, equal among tasks, on subjects held out of the "
        f"training ones, in percent: {best:g} is best; the paper chose 0.1.",
    )


def _made(study: FaceStudy) -> Iterator[Block]:
    yield Text(text=f"Size {study.size.name}: {study.size.about}.")
    yield TableBlock(
        header=("", "network", "seconds a run"),
        rows=tuple(
            (arm.name, arm.about, _seconds(study.runs.get(arm.name, {}).values()))
            for arm in study.arms
        ),
    )
    for seed, found in study.poses.items():
        yield Text(text=f"Seed {seed}: by a network trained on other people, {found}.")
    if study.failed:
        yield TableBlock(
            header=("run", "failed for"),
            rows=tuple(study.failed.items()),
            caption="Failed runs; the same command tries them again.",
        )


def _seconds(runs: Iterable[Mapping[str, float]]) -> float:
    values = [metrics["seconds"] for metrics in runs]
    return sum(values) / len(values) if values else math.nan
