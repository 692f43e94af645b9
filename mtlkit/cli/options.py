"""The options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value of the recipe, such as optimizer.lr=0.1; may be repeated.",
)
"""The option ``--set`` of every command that reads a recipe."""

quiet_option = click.option("--quiet", is_flag=True, help="Show no progress.")
"""The option ``--quiet`` of every command that trains."""

beside_option = click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Another evaluated run to show with this one in the report; may be repeated.",
)
"""The option ``--beside`` of every command that writes a report."""


def folder_option(text: str) -> Callable[[Any], Any]:
    """Return the option ``--out`` of a command that writes a folder, described by `text`."""
    return click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help=text)
