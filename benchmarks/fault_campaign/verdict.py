"""The verdict of a case, and the table of all."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum

import attrs


class Verdict(Enum):
    """Result of a case; the first two are right."""

    CLEAR = "clear"  # refused with an error that names place and remedy
    SAME = "same"  # the result is that of an undisturbed run
    LOST = "lost"  # finished work is missing
    WRONG = "wrong"  # another result, and no word
    STUCK = "stuck"  # neither resumable nor repeatable, or waiting for ever
    TRACEBACK = "traceback"  # an exception that no one expected


@attrs.frozen
class Case:
    """One fault: its kind, its key within the kind, the verdict, and what was seen."""

    kind: str
    key: str
    verdict: Verdict
    detail: str = ""


def table(cases: Iterable[Case]) -> str:
    """Return a Markdown table with a row for each kind."""
    counts: dict[str, Counter[Verdict]] = {}
    for case in cases:
        counts.setdefault(case.kind, Counter())[case.verdict] += 1
    names = [verdict.value for verdict in Verdict]
    lines = [f"| fault | tried | {' | '.join(names)} |", "|---|" + "---:|" * (len(names) + 1)]
    for kind, count in counts.items():
        cells = [str(sum(count.values())), *(str(count[verdict]) for verdict in Verdict)]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)
