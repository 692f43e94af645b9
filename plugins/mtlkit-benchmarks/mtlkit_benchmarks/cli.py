"""Commands under ``mtlkit benchmarks``."""

from pathlib import Path

import click

from mtlkit.plugins import echo

RECIPES = Path(__file__).parent / "recipes"


@click.group()
def benchmarks() -> None:
    """List the recipes of data sets of multi-task learning."""


@benchmarks.command()
def recipes() -> None:
    """Print the path of each recipe."""
    for recipe in sorted(RECIPES.glob("*.yaml")):
        echo(recipe)
