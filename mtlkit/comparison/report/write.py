"""The reports of a study, made from its files alone, finished or not."""

from pathlib import Path

from mtlkit.atomic_files import disk_errors, write_file
from mtlkit.comparison.report.dependencies import require_libraries


def write_reports(study: Path) -> None:
    """Write what the study in the folder says so far.

    These are ``report.html`` (one file, with plots, that needs no network), ``report.md``,
    ``results.csv`` and ``results.parquet`` (every run), and ``tables/NAME.csv``. Raises `RunError`
    for a folder that is no study, and `MissingExtraError` without the libraries of the extra
    ``compare``.
    """
    require_libraries()
    from mtlkit.comparison.analysis.evidence import deciding_budget
    from mtlkit.comparison.analysis.traces import read_traces
    from mtlkit.comparison.report.markdown import render_markdown
    from mtlkit.comparison.report.narrative import narrate
    from mtlkit.comparison.report.page import render_study
    from mtlkit.comparison.report.report_table import write_csv
    from mtlkit.comparison.report.tables import all_sheets
    from mtlkit.comparison.results.flat_table import flat_rows, rows_as_csv, rows_as_parquet
    from mtlkit.comparison.results.study_results import read_study

    found = read_study(study)
    narrative = narrate(found)
    sheets = all_sheets(narrative.evidence, narrative.by_problem)
    traces = {p: read_traces(study, found, p, deciding_budget(found)) for p in found.problems}
    rows = flat_rows(found.records)
    tables = study / "tables"
    with disk_errors(tables):
        tables.mkdir(exist_ok=True)
    for name in dict.fromkeys(sheet.name for sheet in sheets):
        content = write_csv([sheet for sheet in sheets if sheet.name == name])
        write_file(tables / f"{name}.csv", content.encode())
    write_file(study / "results.csv", rows_as_csv(rows).encode())
    write_file(study / "results.parquet", rows_as_parquet(rows))
    write_file(study / "report.md", render_markdown(narrative, sheets).encode())
    write_file(study / "report.html", render_study(narrative, sheets, traces).encode())
