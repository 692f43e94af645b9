"""``mtlkit report``: draw a report again, with other runs next to it."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.options import beside_option
from mtlkit.plugins.command_options import OutputFile
from mtlkit.printable import echo


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@beside_option
@click.option(
    "--out",
    type=OutputFile(),
    metavar="FILE",
    help="The file to write; by default report.html in RUN.",
)
def report(run: Path, beside: tuple[Path, ...], out: Path | None) -> None:
    """Draw the report of RUN, a run or a study, from its files; no data and no model is opened."""
    from mtlkit.comparison.results.store import StudyFolder
    from mtlkit.runs.report import write_report

    study = StudyFolder(run)
    if not study.study.is_file():
        echo(f"report: {write_report(run, beside, out)}")
        return
    if beside or out is not None:
        option = "--beside" if beside else "--out"
        raise click.UsageError(
            f"{option} is for runs, and {run} is a study, whose reports lie in it; two studies "
            f"are set side by side by `mtlkit compare {run} OTHER`"
        )
    from mtlkit.comparison.report.write import write_reports

    write_reports(run, current_catalog())
    echo(f"report: {study.report}")
