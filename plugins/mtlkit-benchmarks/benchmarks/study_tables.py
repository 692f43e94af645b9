"""The stored studies, and published tables, as Markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence

from literature import SHORT, literature
from stored_study import RESULTS

from mtlkit.comparison import ComparisonResult, short_verdict
from mtlkit.report.numbers import DASH, MINUS, duration

Results = Mapping[str, ComparisonResult]


PAGES = ("own.md", "published.md")
"""Files that the docs page includes."""


def pages(names: Iterable[str]) -> dict[str, str]:
    """Return the text of each file: the stored studies, and published gains."""
    results = {name: ComparisonResult(RESULTS / name) for name in names
               if (RESULTS / name).exists()}  # fmt: skip
    verdicts = [verdict(name, result) for name, result in results.items()]
    studies = "\n\n".join([tally(results), gains(results), sizes(results), *verdicts])
    return dict(zip(PAGES, (f"{studies}\n", f"{published()}\n"), strict=True))


def write_pages(names: Iterable[str]) -> None:
    for name, text in pages(names).items():
        (RESULTS / name).write_text(text, encoding="utf-8")


def tally(results: Results) -> str:
    """Return how often a weighting is better or worse than equal weights in the whole studies."""
    whole = [result for result in results.values() if not result.results.missing()]
    words = [word for result in whole for method, word in result.verdicts().items()
             if method not in ("single-task", "tuned")]  # fmt: skip
    return (
        f"{len(whole)} of {len(results)} studies are complete. In these, a weighting is compared "
        f"with equal weights {len(words)} times: {words.count('better')} times it is better, "
        f"{words.count('worse')} times worse, and {words.count('undecided')} times not "
        f"distinguished."
    )


def gains(results: Results) -> str:
    """Return delta-m of each method against equal weights, with Student's interval."""
    cells: dict[str, dict[str, str]] = {}
    for name, result in results.items():
        for gain in result.gains():
            if gain["baseline"] == "equal":
                mean, low, high = (signed(gain[key], 2) for key in ("mean", "low", "high"))
                mark = {"better": "**", "worse": "*"}.get(str(gain["verdict"]), "")
                text = f"{mark}{mean}{mark} [{low}, {high}]"
                cells.setdefault(str(gain["method"]), {})[name] = text
    names = [name for name in results if any(name in row for row in cells.values())]
    rows = [[method, *(row.get(name, DASH) for name in names)] for method, row in cells.items()]
    return markdown(["method", *names], rows)


def sizes(results: Results) -> str:
    """Return the tasks, the runs and the time of each study."""
    rows = []
    for name, result in results.items():
        study, (finished, planned) = result.results, finished_and_planned(result)
        seconds = math.fsum(record.seconds for record in study.records)
        runs = f"all {planned}" if finished == planned else f"{finished} of {planned}"
        rows.append([f"`{name}`", str(len(study.primary_metrics)), runs, duration(seconds),
                     study.machine["date"]])  # fmt: skip
    return markdown(["study", "tasks", "runs", "training time", "begun on"], rows)


def finished_and_planned(result: ComparisonResult) -> tuple[int, int]:
    finished = len(result.results.records)
    return finished, finished + sum(result.results.missing().values())


def verdict(name: str, result: ComparisonResult) -> str:
    """Return the verdict of a study in words."""
    finished, planned = finished_and_planned(result)
    state = "" if finished == planned else f", {finished} of {planned} runs"
    lines = [f"- {statement.text}" for statement in short_verdict(result.evidence)]
    chart = f"{name}/figures/0.svg"
    picture = (
        [f"\n![Gains over equal weights: {name}]({chart})"] if (RESULTS / chart).exists() else []
    )
    return "\n".join([f"`{name}`{state}:\n", *lines, *picture])


def published() -> str:
    """Return the published gains over the plain sum, in points of each table's delta-m."""
    rows = [[method, *(signed(mine[name]) if name in mine else DASH for name in SHORT)]
            for method, mine in literature().items()]  # fmt: skip
    return markdown(["method", *SHORT.values()], rows)


def signed(value: object, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", MINUS)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
