"""``mtlkit resume``: resume a run that was stopped."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.train import print_files
from mtlkit.cli.options import beside_option, quiet_option
from mtlkit.plugins.command_options import cache_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@beside_option
@cache_option
@click.option(
    "--accept",
    multiple=True,
    type=click.Choice(("recipe", "versions", "ranks", "data", "log")),
    help="Continue although this changed since the run began, and record it; may be repeated.",
)
@quiet_option
def resume(
    run: Path, beside: tuple[Path, ...], cache: Path, accept: tuple[str, ...], quiet: bool
) -> None:
    """Resume the stopped RUN; the result is the same as without the stop.

    A changed recipe, version, number of processes, data or log is refused without --accept.
    """
    from mtlkit.data.source import Loading
    from mtlkit.runs import fit

    resumed = fit.resume(
        run,
        catalog=current_catalog(),
        loading=Loading(cache=cache),
        quiet=quiet,
        beside=beside,
        accept=accept,
    )
    print_files(resumed)
