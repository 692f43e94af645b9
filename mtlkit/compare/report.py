"""The reports of a study, made from its files alone, finished or not."""

from pathlib import Path

from mtlkit.compare.libraries import require_libraries
from mtlkit.train.durable import disk_errors, write_file


def write_reports(study: Path) -> None:
    """Write what the study in the folder says so far.

    These are ``report.html`` (one file, with plots, that needs no network), ``report.md``,
    ``results.csv`` and ``results.parquet`` (every run), and ``tables/NAME.csv``. Raises `RunError`
    for a folder that is no study, and `MissingExtraError` without the libraries of the extra
    ``compare``.
    """
    require_libraries()
    from mtlkit.compare.evidence import deciding_budget
    from mtlkit.compare.markdown import render_markdown
    from mtlkit.compare.narrative import narrate
    from mtlkit.compare.page import render_study
    from mtlkit.compare.results import read_study
    from mtlkit.compare.rows import flat_rows, rows_as_csv, rows_as_parquet
    from mtlkit.compare.sheets import write_csv
    from mtlkit.compare.tables import all_sheets
    from mtlkit.compare.traces import read_traces

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
