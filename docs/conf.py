"""The docs site; the reference is made from docstrings and from what is registered."""

import importlib
import inspect
from pathlib import Path

from sphinx.application import Sphinx

from mtlkit.namespace import NAMESPACES
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io.snippet import option_rows
from mtlkit.recipe_io.structuring import options_of

HERE = Path(__file__).parent

project = "mtlkit"
author = "the mtlkit authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "mtlkit"
default_role = "code"  # docstrings write names in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
suppress_warnings = ["myst.header"]


def setup(app: Sphinx) -> None:
    """Write the reference before the pages are read."""
    app.connect("builder-inited", write_reference)


def write_reference(_: Sphinx) -> None:
    """The pages `components` and `api`, into a folder that is not kept."""
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    (folder / "components.md").write_text(components(), encoding="utf-8")
    (folder / "api.md").write_text(api(), encoding="utf-8")


def components() -> str:
    """Every built-in component, by family: what it is, its options, its documentation."""
    catalog = load_catalog("none")
    parts = ["# Components\n\nWhat mtlkit brings itself; `mtlkit show NAME` prints the same.\n"]
    for plural, registry in catalog.families().items():
        parts.append(f"## {plural}\n")
        for entry in registry:
            component = registry.get(entry.name)
            parts.append(f"### {entry.name} ({registry.family})\n\n*{entry.summary}*\n")
            parts.append(f"{(inspect.getdoc(component) or '').partition('>>>')[0].strip()}\n")
            options = options_of(component) if isinstance(component, type) else {}
            rows = option_rows(options, catalog)
            if rows:
                parts.append("| option | what it may be | default |\n|---|---|---|")
                cells = ["| " + " | ".join(f"`{cell}`" for cell in row) + " |" for row in rows]
                parts.append("\n".join(cells) + "\n")
    return "\n".join(parts)


def api() -> str:
    """Every public name where it is defined, with its docstring."""
    parts = ["# The plugin API\n\nThese names stay as long as the API keeps its first number.\n"]
    described = set[object]()
    for module in NAMESPACES:
        parts.append(f"## {module}\n")
        home = importlib.import_module(module)
        for name in home.__all__:
            value = getattr(home, name)
            documented = inspect.isclass(value) or inspect.isfunction(value)
            if not documented or value in described:
                parts.append(f"`{name}`\n")
                continue
            described.add(value)
            kind = "autoclass" if inspect.isclass(value) else "autofunction"
            members = "\n   :members:" if inspect.isclass(value) else ""
            parts.append(f"```{{eval-rst}}\n.. {kind}:: {module}.{name}{members}\n```\n")
    return "\n".join(parts)
