"""The report as Markdown: the same words and tables as the page, without its figures."""

from collections.abc import Sequence

from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM
from mtlkit.comparison.analysis.evidence import Verdict
from mtlkit.comparison.report.narrative import Narrative
from mtlkit.comparison.report.report_table import ReportTable, write_markdown
from mtlkit.comparison.report.tables import SUMMARY


def render_markdown(narrative: Narrative, sheets: Sequence[ReportTable]) -> str:
    """The report as text."""
    study = narrative.evidence.study
    lines = [f"# {study.name}", "", narrative.lead(), ""]
    lines += [f"{line}\n" for line in narrative.missing()]
    lines += [f"**{narrative.headline}**", "", "## Verdict", ""]
    by_problem = {verdict.problem: verdict for verdict in narrative.verdicts}
    if EVERY_PROBLEM in by_problem:
        lines += ["On the mean of all problems:", "", *_said(by_problem[EVERY_PROBLEM])]
    lines += _tables([sheet for sheet in sheets if sheet.name == SUMMARY])
    for problem in study.problems:
        lines += [f"## {problem}", "", narrative.judged(problem), "", "### Verdict", ""]
        lines += _said(by_problem[problem])
        lines += _tables([sheet for sheet in sheets if sheet.problem == problem])
    if narrative.ranks.ranks:
        lines += ["## Ranks", "", narrative.about_ranks(), ""]
        lines += ["| method | mean rank |", "| --- | ---: |"]
        lines += [f"| {method} | {rank:.2f} |" for method, rank in narrative.ranks.ranks.items()]
        lines.append("")
    rest = [s for s in sheets if s.problem not in study.problems and s.name != SUMMARY]
    lines += ["## All problems", "", *_tables(rest)] if rest else []
    lines += ["## How it was made fair", ""]
    facts = {**narrative.fair(), **{f"machine: {k}": v for k, v in study.machine.items()}}
    lines += [f"- {name}: {text}" for name, text in facts.items()]
    return "\n".join(lines) + "\n"


def _said(verdict: Verdict) -> list[str]:
    return [*(f"- *{s.mood.value}*: {s.text}" for s in verdict.statements), ""]


def _tables(sheets: Sequence[ReportTable]) -> list[str]:
    return [line for s in sheets for line in (f"### {s.title}", "", write_markdown(s))]
