"""``mtlkit compare``: which weighting is best on a set of problems, or what two runs differ in."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.options import cache_option


@click.command()
@click.argument("what", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The study's folder; by default runs/ and the file's name. One that holds the study "
    "already is gone on with.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many runs at once; by default one for each device, or core, but at most 8.",
)
@click.option(
    "--devices",
    metavar="LIST",
    default="",
    help="Where runs compute, in turn, such as cuda:0,cuda:1 or cpu; by default as recipes say.",
)
@click.option("--retry-failed", is_flag=True, help="Make the runs that failed once more.")
@click.option("--dry-run", is_flag=True, help="Print the plan and its time; write nothing.")
@cache_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def compare(
    what: Path,
    other: Path | None,
    out: Path | None,
    workers: int | None,
    devices: str,
    retry_failed: bool,
    dry_run: bool,
    cache: Path,
    quiet: bool,
) -> None:
    """Compare weightings as the file WHAT says, or two finished runs or studies, WHAT and OTHER.

    Ctrl-C stops all runs at a checkpoint; the same command goes on with them, as after any crash.
    """
    from mtlkit.compare.finish import summary
    from mtlkit.compare.read_comparison import load_comparison
    from mtlkit.compare.study import Place, run_study
    from mtlkit.data.configs import Loading

    catalog = current_catalog()
    comparison = load_comparison(what, catalog)
    place = Place(workers=workers, devices=tuple(filter(None, devices.split(","))))
    folder = run_study(
        comparison,
        out or Path("runs") / what.stem,
        catalog=catalog,
        loading=Loading(cache=cache),
        place=place,
        retry_failed=retry_failed,
        quiet=quiet,
    )
    from mtlkit.cli.list import aligned

    for line in aligned(summary(folder)):
        click.echo(line)
    click.echo(f"\nresults: {folder.results}")
