"""``mtlkit report``: draw a report again, with other runs beside it."""

from pathlib import Path

import click

from mtlkit.cli.options import beside_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@beside_option
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
