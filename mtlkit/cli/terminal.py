"""Output of the commands."""

import click

from mtlkit.printable import printable


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a line, which ends unless `nl` is false; control characters are escaped."""
    click.echo(printable(text), err=err, nl=nl)
