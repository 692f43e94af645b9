"""The files of a study's report: HTML, Markdown, and every number as CSV."""

import math
from collections.abc import Iterator
from pathlib import Path

from mtlkit.evaluators import Chart, Section, TableBlock, Text
from mtlkit.plugins import write_file
from mtlkit.runs import Evaluation, RunRecord, number, render_page
from mtlkit_face.study.records import records_to_csv
from mtlkit_face.study.report import FaceStudy, sections

RESULTS = "results.csv"


def write_study(study: FaceStudy, folder: Path) -> Path:
    """Write ``report.html``, ``report.md`` and ``results.csv`` into `folder`; returns the first."""
    content = sections(study)
    page = RunRecord(
        name=f"The experiments of Yin & Liu (TIP 2018), {study.size.name}",
        evaluation=Evaluation(
            facts={
                "model": "Networks of the paper on rendered faces, over paired seeds",
                "size": study.size.about,
                "networks": ", ".join(arm.name for arm in study.arms),
                "seeds": str(len(study.seeds)),
            },
            sections=content,
        ),
        versions=study.versions,
    )
    write_file(folder / "report.html", render_page(page).encode())
    write_file(folder / "report.md", "".join(_markdown(content)).encode())
    write_file(folder / RESULTS, records_to_csv(study.runs, study.size).encode())
    return folder / "report.html"


def _markdown(content: tuple[Section, ...]) -> Iterator[str]:
    for section in content:
        yield f"## {section.title}\n\n"
        for block in section.blocks:
            if isinstance(block, Text):
                yield f"{block.text}\n\n"
            elif isinstance(block, TableBlock):
                yield from _markdown_table(block)
            elif isinstance(block, Chart):
                yield from _markdown_table(_as_table(block))


def _as_table(chart: Chart) -> TableBlock:
    """Return the numbers of a chart as a table for Markdown, a row for each x."""
    xs = list(dict.fromkeys(x for series in chart.series.values() for x in series.x))
    points = [dict(zip(series.x, series.y, strict=True)) for series in chart.series.values()]
    return TableBlock(
        header=(chart.x_label, *chart.series),
        rows=tuple((x, *(series.get(x, math.nan) for series in points)) for x in xs),
        caption=f"{chart.title} ({chart.y_label}). {chart.caption}".strip(),
    )


def _markdown_table(table: TableBlock) -> Iterator[str]:
    yield f"| {' | '.join(table.header)} |\n|{'---|' * len(table.header)}\n"
    for row in table.rows:
        yield f"| {' | '.join(number(cell) for cell in row)} |\n"
    yield f"\n{table.caption}\n\n" if table.caption else "\n"
