"""The command ``mtlkit first``."""

import click


@click.command()
def first():
    """Say hello."""
    click.echo("hello from the first API")
