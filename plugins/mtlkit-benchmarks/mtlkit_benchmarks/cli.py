"""Commands under ``mtlkit benchmarks``."""

from pathlib import Path

import click

from mtlkit.plugins import echo

RECIPES = Path(__file__).parent / "recipes"
PROTOCOLS = Path(__file__).parent / "protocols"


@click.group()
def benchmarks() -> None:
    """List recipes of data sets of multi-task learning, and check the files of a data set."""


@benchmarks.command()
def recipes() -> None:
    """Print the path of each recipe."""
    for recipe in sorted(RECIPES.glob("*.yaml")):
        echo(recipe)


@benchmarks.command()
def protocols() -> None:
    """Print the path of each recipe of a published protocol or an official data set."""
    for recipe in sorted(PROTOCOLS.glob("*.yaml")):
        echo(recipe)


@benchmarks.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--part", is_flag=True, help="Accept a part of the data set.")
def check(name: str, folder: Path, part: bool) -> None:
    """List the files of the data set NAME in FOLDER, and what to do if some are missing.

    If none is missing, samples are counted, and the first and the last of each split are read.
    """
    from mtlkit_benchmarks.check import check_tree

    lines, sound = check_tree(name, folder.absolute(), complete=not part)
    for line in lines:
        echo(line)
    if not sound:
        click.get_current_context().exit(1)


@benchmarks.command()
@click.argument("name", required=False)
def published(name: str | None) -> None:
    """Print the published results called NAME; without it, list all of them."""
    from mtlkit_benchmarks.published.result import published_lines

    for line in published_lines(name):
        echo(line)


@benchmarks.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--last", type=click.IntRange(min=1), help="Average the last validations.")
def result(run: Path, last: int | None) -> None:
    """Print the test results of the finished RUN next to the published ones.

    With --last N the results are the means of the last N validations, as the tables of NYUv2 and
    Cityscapes have it, if the test samples were those for validation.
    """
    from mtlkit_benchmarks.published.result import result_lines

    for line in result_lines(run, last):
        echo(line)
