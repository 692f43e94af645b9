"""``mtlkit merge``: merge the weights of runs of different tasks."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.train import print_metrics
from mtlkit.plugins.command_options import cache_option


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR",
    help="The folder of the merged run.",
)  # fmt: skip
@click.option(
    "--scale", type=float,
    help="Add this multiple of what each run learned to the start of all; without it, average.",
)  # fmt: skip
@click.option(
    "--base", type=click.Path(path_type=Path), metavar="RUN",
    help="The run that all began with; by default the weights drawn from their common seed.",
)  # fmt: skip
@cache_option
def merge(
    runs: tuple[Path, ...], out: Path, scale: float | None, base: Path | None, cache: Path
) -> None:
    """Merge the finished RUNS, each of other tasks, into one run, and print its metrics.

    The shared weights are averaged, or added by task arithmetic (Ilharco et al. 2023).
    """
    from mtlkit.data.source import Loading
    from mtlkit.errors import RunError
    from mtlkit.runs.merge import merge_runs

    if base is not None and scale is None:
        raise RunError("--base: is the start of task arithmetic; give --scale, too, such as 0.3")
    done = merge_runs(
        runs, out, scale=scale, base=base, catalog=current_catalog(), loading=Loading(cache=cache)
    )
    print_metrics(done)
