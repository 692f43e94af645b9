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
    """One fault: its kind, its key within the kind, the verdict, and what was seen.

    `events` is the number of places at which such a fault can strike; 0 if they are not counted.
    """

    kind: str
    key: str
    verdict: Verdict
    detail: str = ""
    events: int = 0


def table(cases: Iterable[Case]) -> str:
    """Return a Markdown table with a row for each kind, and the events of which it is a sample."""
    counts: dict[str, Counter[Verdict]] = {}
    events: dict[str, int] = {}
    for case in cases:
        counts.setdefault(case.kind, Counter())[case.verdict] += 1
        events[case.kind] = max(case.events, events.get(case.kind, 0))
    names = ["tried", "events", *(verdict.value for verdict in Verdict)]
    lines = [f"| fault | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for kind, count in counts.items():
        numbers = (sum(count.values()), events[kind] or "", *(count[v] for v in Verdict))
        lines.append(f"| {kind} | {' | '.join(map(str, numbers))} |")
    struck = [kind for kind, number in events.items() if number]
    tried = sum(sum(counts[kind].values()) for kind in struck)
    if struck:
        lines += ["", f"{tried:,} of {sum(events.values()):,} events were struck."]
    return "\n".join(lines)
