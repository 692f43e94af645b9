"""The report as Markdown: the same words and tables as the page, without its figures."""

from collections.abc import Sequence

from mtlkit.compare.comparisons import EVERY_PROBLEM
from mtlkit.compare.narrative import Narrative
from mtlkit.compare.sheets import Sheet, write_markdown


def render_markdown(narrative: Narrative, sheets: Sequence[Sheet]) -> str:
    """The report as text."""
    study = narrative.evidence.study
    lines = [f"# {study.name}", "", narrative.lead(), ""]
    lines += [f"{line}\n" for line in narrative.missing()]
    lines += [f"**{narrative.headline}**", "", "## Verdict", ""]
    for verdict in narrative.verdicts:
        if len(narrative.verdicts) > 1:
            lines += [f"### {verdict.problem.capitalize()}" if verdict.problem == EVERY_PROBLEM
                      else f"### {verdict.problem}", ""]  # fmt: skip
        lines += [f"- *{s.mood.value}*: {s.text}" for s in verdict.statements]
        lines.append("")
    for problem in study.problems:
        lines += [f"## {problem}", "", narrative.judged(problem), ""]
        for sheet in sheets:
            if sheet.problem == problem:
                lines += [f"### {sheet.title}", "", write_markdown(sheet)]
    if narrative.ranks.ranks:
        lines += ["## Ranks over all blocks", "", narrative.about_ranks(), ""]
        lines += ["| method | mean rank |", "| --- | ---: |"]
        lines += [f"| {method} | {rank:.2f} |" for method, rank in narrative.ranks.ranks.items()]
        lines.append("")
    for sheet in sheets:
        if sheet.problem not in study.problems:
            lines += [f"## {sheet.title}", "", write_markdown(sheet)]
    lines += ["## How it was made fair", ""]
    facts = {**narrative.fair(), **{f"machine: {k}": v for k, v in study.machine.items()}}
    lines += [f"- {name}: {text}" for name, text in facts.items()]
    return "\n".join(lines) + "\n"
