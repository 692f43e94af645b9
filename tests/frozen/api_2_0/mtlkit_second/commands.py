"""The command ``mtlkit second``."""

import click


@click.command()
def second():
    """Say hello."""
    click.echo("hello from the second API")
