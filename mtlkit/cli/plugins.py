"""``mtlkit plugins``: who is installed, and how the loading went."""

import click

from mtlkit.catalog import Catalog, PluginRecord
from mtlkit.cli import current_catalog


@click.command()
def plugins() -> None:
    """List the plugins: distribution, version, file, status and what each provides."""
    catalog = current_catalog()
    if not catalog.plugins:
        click.echo("no plugin is installed")
    for plugin in catalog.plugins:
        click.echo(f"{plugin.namespace}: {plugin.status.value}")
        click.echo(f"  from      {plugin.origin} ({plugin.origin.file})")
        if plugin.reason:
            click.echo(f"  reason    {plugin.reason}")
        for line in _provided(catalog, plugin):
            click.echo(f"  provides  {line}")


def _provided(catalog: Catalog, plugin: PluginRecord) -> list[str]:
    lines = [
        f"{registry.family} {entry.name}"
        for registry in catalog.families().values()
        for entry in registry
        if entry.origin == plugin.origin
    ]
    commands = [
        f"command mtlkit {name}"
        for name, command in sorted(catalog.commands.items())
        if command.origin == plugin.origin
    ]
    return lines + commands
