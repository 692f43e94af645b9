"""The reports of a finished or unfinished study, written from its files alone."""

from pathlib import Path

import attrs

from mtlkit.atomic_files import disk_errors, write_file
from mtlkit.comparison.report.dependencies import require_libraries
from mtlkit.plugins.catalog import Catalog


def write_reports(folder: Path, catalog: Catalog | None = None) -> None:
    """Write the reports of the study in the folder, which may be unfinished.

    The plugins of `catalog` may add sections to problems.

    These are ``report.html`` (one file with interactive charts, without network requests),
    ``report.md`` with ``figures/``, ``results.csv`` and ``results.parquet`` (every run), and
    ``tables/NAME.csv``. Raises `RunError` for a folder that is not a study, and `MissingExtraError`
    without the libraries of the extra ``compare``.
    """
    require_libraries()
    from mtlkit.comparison.analysis.evidence import deciding_budget
    from mtlkit.comparison.analysis.traces import read_traces
    from mtlkit.comparison.report.narrative import narrate
    from mtlkit.comparison.report.page import study_page
    from mtlkit.comparison.report.plugin_sections import plugin_sections
    from mtlkit.comparison.report.tables import study_tables
    from mtlkit.comparison.results.flat_table import flat_rows, rows_as_parquet
    from mtlkit.comparison.results.store import StudyFolder
    from mtlkit.comparison.results.study_results import read_study
    from mtlkit.report.csv_file import rows_csv, tables_csv
    from mtlkit.report.html import render_html
    from mtlkit.report.markdown import render_markdown
    from mtlkit.report.page import ChartChoice
    from mtlkit.report.svg import draw_file

    study = read_study(folder)
    narrative = narrate(study)
    tables = study_tables(narrative.evidence, narrative.by_problem)
    traces = {p: read_traces(folder, study, p, deciding_budget(study)) for p in study.problems}
    sections = plugin_sections(StudyFolder(folder), catalog) if catalog is not None else {}
    page = study_page(narrative, tables, traces, sections)

    names = dict.fromkeys(name for by_name in tables.values() for name in by_name)
    for name in names:
        rows = [
            ({"problem": problem} if problem else {}, by_name[name])
            for problem, by_name in tables.items()
            if name in by_name
        ]
        _write(folder / "tables" / f"{name}.csv", tables_csv(rows))
    pictures = {}
    for number, block in enumerate(page.opening):
        chart = next(iter(block.options.values()))[0] if isinstance(block, ChartChoice) else block
        pictures[block.title] = f"figures/{number}.svg"
        _write(folder / pictures[block.title], draw_file(attrs.evolve(chart, title=block.title)))
    runs = flat_rows(study.records)
    _write(folder / "results.csv", rows_csv(runs))
    write_file(folder / "results.parquet", rows_as_parquet(runs))
    _write(folder / "report.md", render_markdown(page, pictures))
    _write(folder / "report.html", render_html(page))


def _write(path: Path, text: str) -> None:
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    write_file(path, text.encode())
