"""``mtlkit schema``: recipes as JSON Schema, for editors."""

import json
from pathlib import Path

import click

from mtlkit.atomic_files import write_file
from mtlkit.cli import current_catalog
from mtlkit.plugins.command_options import OutputFile
from mtlkit.printable import echo, echo_data


@click.command()
@click.option(
    "--out",
    type=OutputFile(),
    metavar="FILE",
    help="The file to write; by default the schema is printed.",
)
def schema(out: Path | None) -> None:
    """Write the JSON Schema of recipes with every installed component.

    A recipe whose first line is `# yaml-language-server: $schema=FILE` is then completed and
    checked by every editor that uses the YAML language server.
    """
    from mtlkit.recipe_io.schema import recipe_schema

    text = json.dumps(recipe_schema(current_catalog()), indent=1, ensure_ascii=False)
    if out is None:
        echo_data(f"{text}\n")
        return
    write_file(out, f"{text}\n".encode())
    echo(f"first line of a recipe: # yaml-language-server: $schema={out}")
