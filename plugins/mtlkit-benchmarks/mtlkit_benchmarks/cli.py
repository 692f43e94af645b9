"""Commands under ``mtlkit benchmarks``."""

from pathlib import Path

import click

RECIPES = Path(__file__).parent / "recipes"


@click.group()
def benchmarks() -> None:
    """List recipes of data sets of multi-task learning, and check the files of a data set."""


@benchmarks.command()
def recipes() -> None:
    """Print the path of each recipe."""
    for recipe in sorted(RECIPES.glob("*.yaml")):
        click.echo(recipe)


@benchmarks.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--part", is_flag=True, help="Accept a part of the data set.")
def check(name: str, folder: Path, part: bool) -> None:
    """Say which files of the data set NAME are in FOLDER, and what to do if some are missing.

    If none is missing, the samples are read and counted.
    """
    from mtlkit_benchmarks.check import check_tree

    lines, sound = check_tree(name, folder.absolute(), complete=not part)
    for line in lines:
        click.echo(line)
    if not sound:
        click.get_current_context().exit(1)
