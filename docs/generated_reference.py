"""Reference pages generated from the registry, the public namespaces and the command line."""

import importlib
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import attrs
import click
from click.testing import CliRunner

from mtlkit import ops
from mtlkit.cli import Session
from mtlkit.cli import mtlkit as command_line
from mtlkit.namespace import NAMESPACES, public_names
from mtlkit.plugins import Component
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.plugins.registry import Entry, Registry
from mtlkit.recipe_io.snippet import option_rows
from mtlkit.recipe_io.structuring import options_of


def write_reference(folder: Path) -> None:
    """Write every generated page below `folder`, which git ignores."""
    shutil.rmtree(folder, ignore_errors=True)
    catalog = load_catalog("none")
    session = Session()
    session._catalog = catalog  # without the plugins of whoever builds the site
    pages = {"components/index": components_index(catalog), "api/index": api_index()}
    for plural, registry in catalog.families().items():
        pages[f"components/{plural}"] = family_page(plural, registry)
        for entry in registry:
            page = component_page(plural, registry, entry, catalog, session)
            pages[f"components/{plural}/{entry.name}"] = page
    described = set[object]()
    for namespace in NAMESPACES:
        pages[f"api/{namespace}"] = namespace_page(namespace, described)
    pages["cli"] = command_line_page(session)
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def components_index(catalog: Catalog) -> str:
    """Return the page that lists the families."""
    parts = [
        "# Components\n\nEvery component that mtlkit registers, by family. `mtlkit list` prints "
        "the same names together with those of your plugins, and `mtlkit show NAME` prints one "
        "component.\n\n| family | components |\n|---|---|"
    ]
    for plural, registry in catalog.families().items():
        names = ", ".join(f"[`{e.name}`]({plural}/{e.name}.md)" for e in registry)
        parts.append(f"| [{plural}]({plural}.md) | {names or 'none; plugins add them'} |")
    return "\n".join([*parts, "", toctree(*catalog.families())])


def family_page(plural: str, registry: Registry[Any]) -> str:
    """Return the table of one family."""
    parts = [f"# {plural.capitalize()}\n"]
    if not len(list(registry)):
        parts.append("mtlkit registers none; a plugin may add some.\n")
        return "\n".join(parts)
    parts.append("| recipe name | class | what it does |\n|---|---|---|")
    for entry in registry:
        link = f"[`{entry.name}`]({plural}/{entry.name}.md)"
        component = registry.get(entry.name)
        name = component.__name__ if isinstance(component, type) else entry.name
        parts.append(f"| {link} | `{name}` | {entry.summary} |")
    names = [f"{plural}/{entry.name}" for entry in registry]
    return "\n".join([*parts, "", toctree(*names)])


def component_page(
    plural: str, registry: Registry[Any], entry: Entry, catalog: Catalog, session: Session
) -> str:
    """Return one component's page: summary, paper, documentation, options, and how to use it.

    The page's title and paper are what readers search for: the class name and the paper's title.
    """
    component = registry.get(entry.name)
    if not isinstance(component, type):  # an op: its page is that of its function
        call = f"from mtlkit import ops\n\nops.{entry.name}(...)"
        return (
            f"# {entry.name}\n\nOp: {entry.summary}.\n\n"
            f"{(inspect.getdoc(getattr(ops, entry.name)) or '').partition('>>>')[0].strip()}\n\n"
            f"## In Python\n\n```python\n{call}\n```\n\nAPI: {{py:obj}}`mtlkit.ops.{entry.name}`.\n"
        )
    name = component.__name__
    title = f"{name} (`{entry.name}`)"
    parts = [f"# {title}\n\n{registry.family.capitalize()}: {entry.summary}.\n"]
    if paper := paper_of(component):
        parts.append(f"{paper}\n")
    parts.append(f"{(inspect.getdoc(component) or '').partition('>>>')[0].strip()}\n")
    options = options_of(component)
    rows = option_rows(options, catalog)
    if rows:
        parts.append(f"## Options\n\n{option_table(rows)}")
    for option, value in nested_values(options):
        summary = (inspect.getdoc(value) or "").partition(">>>")[0].strip()
        parts.append(f"## Keys of `{option}`\n\n{summary}\n")
        parts.append(option_table(option_rows(options_of(value), catalog)))
    if usage := recipe_line(session, f"{plural}/{entry.name}"):
        parts.append(f"## In a recipe\n\n```yaml\n{usage}```\n")
    if home := home_of(component):
        required = [option for option, _, default in rows if default == "required"]
        call = f"{name}({', '.join(f'{option}=...' for option in required)})"
        parts.append(f"## In Python\n\n```python\nfrom {home} import {name}\n\n{call}\n```\n")
        parts.append(f"API: {{py:obj}}`{home}.{name}`.\n")
    return "\n".join(parts)


def option_table(rows: list[tuple[str, str, str]]) -> str:
    """Return the table of options, with what each accepts and its default."""
    lines = ["| option | accepts | default |", "|---|---|---|"]
    for option, accepted, default in rows:
        shown = default if default == "required" else f"`{default.removeprefix('default ')}`"
        lines.append(f"| `{option}` | {accepted} | {shown} |")
    return "\n".join([*lines, ""])


def nested_values(options: dict[str, "attrs.Attribute[Any]"]) -> Iterator[tuple[str, type]]:
    """Yield each option that is a mapping with separate keys, and the class of its value."""
    for name, field in options.items():
        for kind in (field.type, *get_args(field.type)):
            if inspect.isclass(kind) and attrs.has(kind) and not issubclass(kind, Component):
                yield name, kind


def paper_of(component: type) -> str:
    """Return the paragraph of the module's docstring that cites the component's paper."""
    module = importlib.import_module(component.__module__)
    paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    return next((p.replace("Paper:", "**Paper:**") for p in paragraphs if p[:6] == "Paper:"), "")


def home_of(component: type) -> str | None:
    """Return the namespace from which users import `component`."""
    name = component.__name__
    spaces = [space for space in NAMESPACES if space != "mtlkit" and name in public_names(space)]
    return spaces[0] if spaces else None


def recipe_line(session: Session, name: str) -> str:
    """Return the YAML that ``mtlkit show`` prints to paste into a recipe."""
    shown = CliRunner().invoke(command_line, ["show", name], obj=session, catch_exceptions=False)
    return shown.output.partition("\nin a recipe\n")[2]


def api_index() -> str:
    """Return the page that lists the public namespaces."""
    parts = [
        "# Python API\n\nThe public namespaces. A plugin imports from these and from nothing "
        "deeper; their names keep their meaning as long as the plugin API keeps its first "
        "number.\n\n| namespace | contents |\n|---|---|"
    ]
    for namespace in NAMESPACES:
        summary = (inspect.getdoc(importlib.import_module(namespace)) or "").partition("\n")[0]
        parts.append(f"| [`{namespace}`]({namespace}.md) | {summary.partition(': ')[2]} |")
    return "\n".join([*parts, "", toctree(*NAMESPACES)])


def namespace_page(namespace: str, described: set[object]) -> str:
    """Return the page of one namespace; a name described on an earlier page is only listed."""
    module = importlib.import_module(namespace)
    parts = [f"# {namespace}\n\n{(inspect.getdoc(module) or '').partition('>>>')[0].strip()}\n"]
    listed = []
    for name in public_names(namespace):
        value = getattr(module, name)
        documented = inspect.isclass(value) or inspect.isfunction(value)
        if not documented or value in described:
            listed.append(f"`{name}`")
            continue
        described.add(value)
        kind = "autoclass" if inspect.isclass(value) else "autofunction"
        members = "\n   :members:" if inspect.isclass(value) else ""
        parts.append(f"```{{eval-rst}}\n.. {kind}:: {namespace}.{name}{members}\n```\n")
    if listed:
        parts.insert(1, f"Also here: {', '.join(listed)}.\n")
    return "\n".join(parts)


def command_line_page(session: Session) -> str:
    """Return the help of every command and subcommand."""
    context = click.Context(command_line, info_name="mtlkit", obj=session)
    parts = ["# Command line\n", f"```text\n{command_line.get_help(context)}\n```\n"]
    for inner in subcommands(context):
        parts.append(f"## {inner.command_path}\n\n```text\n{inner.command.get_help(inner)}\n```\n")
    return "\n".join(parts)


def subcommands(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of each command below `context`, depth first."""
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                inner = click.Context(command, parent=context, info_name=name)
                yield inner
                yield from subcommands(inner)


def toctree(*pages: str) -> str:
    """Return a table of contents for the side bar alone."""
    return "\n".join(["```{toctree}", ":hidden:", "", *pages, "```", ""])
