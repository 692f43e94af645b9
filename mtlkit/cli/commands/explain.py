"""``mtlkit explain``: check a recipe, and show what it means and where each value came from."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.list import echo_table
from mtlkit.cli.options import set_option
from mtlkit.printable import echo


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
def explain(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Check RECIPE and show it with every option, each with where it comes from."""
    from mtlkit.recipe_io.explanation import option_sources
    from mtlkit.recipe_io.load import read_recipe
    from mtlkit.targets.base import nouns

    catalog = current_catalog()
    written = read_recipe(recipe, catalog, overrides)
    echo_table(option_sources(written, catalog))
    echo("", "losses of a step")
    terms = written.recipe.terms()
    rows = [(term.name, f"{term.role.value} task", nouns(term.targets)) for term in terms]
    echo_table(rows, indent="  ")
    for note in written.recipe.notes():
        echo("", f"note: {note}")
