"""Output of the commands."""

import click

from mtlkit.printable import printable


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a line, without its end unless `nl`; control characters in it are shown as escape sequences."""
    click.echo(printable(text), err=err, nl=nl)
