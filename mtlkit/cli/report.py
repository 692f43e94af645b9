"""``mtlkit report``: draw a report again, with other runs beside it."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Another evaluated run to show beside this one; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file to write; by default report.html in RUN.",
)
def report(run: Path, beside: tuple[Path, ...], out: Path | None) -> None:
    """Draw the report of RUN from its files; neither its data nor its model is opened."""
    from mtlkit.run.report import write_report

    click.echo(f"report: {write_report(run, beside, out)}")
