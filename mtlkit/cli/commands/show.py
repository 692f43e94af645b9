"""``mtlkit show``: one component, its options, its owner, and YAML to paste."""

import inspect

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.list import echo_table, find_component
from mtlkit.printable import echo


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the component NAME, or FAMILY/NAME where two families have one of that name."""
    from mtlkit.recipe_io.snippet import RECIPE_PATHS, option_rows, snippet
    from mtlkit.recipe_io.structuring import options_of

    catalog = current_catalog()
    plural, registry, name = find_component(catalog, name)
    entry, component = registry.entry(name), registry.get(name)
    echo(f"{registry.family} {name}: {entry.summary}")
    echo(f"from {entry.origin} ({entry.origin.file}), {entry.target}", "")
    documented = component.run if plural == "implementations" else component
    echo(*(inspect.getdoc(documented) or "(not documented)").split("\n"), "")
    if plural in ("ops", "implementations"):
        echo("on the command line")
        if plural == "ops":
            echo(f"mtlkit ops explain {name}")
        else:
            echo(f"MTLKIT_OPS={component.op}={name} mtlkit train RECIPE.yaml")
        return
    rows = option_rows(options_of(component), catalog)
    echo("options" if rows else "no options")
    echo_table(rows, indent="  ")
    if plural in RECIPE_PATHS:
        text = snippet(catalog, plural, name, component)
        echo("", "in a recipe", *text.rstrip("\n").split("\n"))
