"""``mtlkit plugins``: installed plugins, origins of names, and disabled plugins."""

import json
from collections.abc import Iterator
from typing import Any

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.commands.doctor import doctor
from mtlkit.cli.commands.list import find_component
from mtlkit.errors import MtlkitError, UnknownComponentError, did_you_mean
from mtlkit.plugins.catalog import Catalog, PluginRecord, PluginStatus
from mtlkit.plugins.disabled import disabled_file, read_disabled, write_disabled
from mtlkit.plugins.discovery import InstalledPlugin, installed_plugins
from mtlkit.printable import echo, echo_data


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(ctx: click.Context) -> None:
    """List, check, enable and disable plugins; without a command, list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_plugins)


plugins.add_command(doctor)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_plugins(as_json: bool = False) -> None:
    """List the plugins: distribution, version, file, status and what each provides."""
    catalog = current_catalog()
    if as_json:
        text = json.dumps([_as_json(catalog, record) for record in catalog.plugins], indent=1)
        echo_data(f"{text}\n")
        return
    if not catalog.plugins:
        echo("no plugin is installed")
    for record in catalog.plugins:
        echo(f"{record.namespace}: {record.status.value}")
        echo(f"  from      {record.origin} ({record.origin.file})")
        if record.reason:
            echo(f"  reason    {record.reason}")
        for line in _provided(catalog, record):
            echo(f"  provides  {line}")


def _as_json(catalog: Catalog, record: PluginRecord) -> dict[str, Any]:
    return {
        "namespace": record.namespace,
        "distribution": record.origin.distribution,
        "version": record.origin.version,
        "file": record.origin.file,
        "status": record.status.value,
        "reason": record.reason,
        "provides": list(_provided(catalog, record)),
    }


def _provided(catalog: Catalog, record: PluginRecord) -> Iterator[str]:
    for registry in catalog.families().values():
        for entry in registry:
            if entry.origin == record.origin:
                yield f"{registry.family} {entry.name}"
    for name, command in sorted(catalog.commands.items()):
        if command.origin == record.origin:
            yield f"command mtlkit {name}"


@plugins.command()
@click.argument("name")
def why(name: str) -> None:
    """Show where NAME comes from: a component, a plugin's namespace, or a plugin's command."""

    catalog = current_catalog()
    installed = {plugin.namespace: plugin for plugin in installed_plugins()}
    records = {record.namespace: record for record in catalog.plugins}
    if name in records:
        record = records[name]
        echo(f"plugin {name}: {record.status.value}")
        echo(f"  from  {record.origin} ({record.origin.file})")
        echo(f"  by    {_by(installed[name])}")
        if record.reason:
            echo(f"  since {record.reason}")
        if record.status is PluginStatus.LOADED:
            echo(f"  has   names: {len(list(_provided(catalog, record)))}; see `mtlkit plugins`")
    elif name in catalog.commands:
        command = catalog.commands[name]
        echo(f"command mtlkit {name}", f"  is    {command.target}")
        echo(f"  from  {command.origin} ({command.origin.file})")
    else:
        plural, registry, bare = find_component(catalog, name)
        entry = registry.entry(bare)
        echo(f"{registry.family} {bare}: {entry.summary}", f"  is    {entry.target}")
        echo(f"  from  {entry.origin} ({entry.origin.file})")
        namespace, slash, _ = bare.partition("/")
        echo(f"  by    {_by(installed[namespace]) if slash else 'mtlkit itself'}")
        echo(f"  see   `mtlkit show {plural}/{bare}`")


def _by(plugin: InstalledPlugin) -> str:
    return (
        f"the entry point {plugin.namespace!r} of {plugin.distribution}, made for plugin API "
        f"{plugin.api or '(none named)'}"
    )


@plugins.command()
@click.argument("name")
def disable(name: str) -> None:
    """Disable the plugin NAME (its namespace or its distribution) until it is enabled."""
    plugin = _named(name)
    _write(read_disabled() | {plugin.namespace})
    echo(
        f"{plugin.namespace} ({plugin.origin}) is disabled; "
        f"`mtlkit plugins enable {plugin.namespace}` brings it back"
    )


@plugins.command()
@click.argument("name")
def enable(name: str) -> None:
    """Enable the disabled plugin NAME."""
    disabled = read_disabled()
    namespace = name if name in disabled else _named(name).namespace
    if namespace not in disabled:
        echo(f"{namespace} is not disabled")
        return
    _write(disabled - {namespace})
    echo(f"{namespace} is enabled")


def _named(name: str) -> InstalledPlugin:
    installed = installed_plugins()
    for plugin in installed:
        if name in (plugin.namespace, plugin.distribution):
            return plugin
    known = sorted({plugin.namespace for plugin in installed})
    raise UnknownComponentError(
        f"no plugin named {name!r} is installed{did_you_mean(name, known)}; "
        f"installed are: {', '.join(known) or '(none)'}",
        family="plugin",
        name=name,
    )


def _write(disabled: frozenset[str]) -> None:
    try:
        write_disabled(disabled)
    except OSError as cause:
        raise MtlkitError(f"{disabled_file()}: cannot be written: {cause.strerror}") from cause
