"""``mtlkit train``: train and evaluate a recipe, and write its report."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.options import beside_option, folder_option, quiet_option, set_option
from mtlkit.plugins.command_options import cache_option
from mtlkit.printable import echo

if TYPE_CHECKING:
    from mtlkit.runs.run import Run


def print_files(run: "Run") -> None:
    """Print the files of a finished run; of several processes only the first prints them."""
    if os.environ.get("RANK", "0") == "0":  # set by torchrun
        echo(f"model:  {run.model}", f"report: {run.report}")


def print_metrics(run: "Run") -> None:
    """Print the metrics of an evaluated run, and the file of its report."""
    from mtlkit.report.numbers import number

    width = max(map(len, run.metrics), default=0)
    for name, value in run.metrics.items():
        echo(f"{name:{width}}  {number(value):>8}")
    echo("", f"report: {run.report}")


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
@folder_option("The run's folder, new or empty; by default runs/ and the recipe's name.")
@click.option("--or-resume", is_flag=True, help="Resume the run of RECIPE in DIR if it has begun.")
@beside_option
@cache_option
@quiet_option
def train(
    recipe: Path,
    overrides: tuple[str, ...],
    out: Path | None,
    or_resume: bool,
    beside: tuple[Path, ...],
    cache: Path,
    quiet: bool,
) -> None:
    """Train and evaluate what the file RECIPE describes.

    A folder that holds a run is refused rather than overwritten. Ctrl-C saves a checkpoint and
    prints how to resume; a second one stops at once. With --or-resume, repeating the command
    resumes the run, and reports a finished one. A run that was stopped exits with 75.
    """
    from mtlkit.data.source import Loading
    from mtlkit.recipe_io import load_recipe
    from mtlkit.runs.fit import fit

    catalog = current_catalog()
    run = fit(
        load_recipe(recipe, catalog, overrides),
        out or Path("runs") / recipe.stem,
        catalog=catalog,
        loading=Loading(cache=cache, base=recipe.parent),
        quiet=quiet,
        beside=beside,
        or_resume=or_resume,
    )
    print_files(run)
