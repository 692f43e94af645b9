"""Configuration of the documentation site; `generated_reference.py` writes its reference pages."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from generated_reference import write_reference

project = "mtlkit"
author = "the mtlkit authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # links to a section of another page
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "mtlkit"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
copybutton_prompt_text = "$ "  # copies the commands of a console block, without their output
default_role = "code"  # docstrings write names in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
toc_object_entries = False
suppress_warnings = ["myst.header"]


def setup(app: Sphinx) -> None:
    """Write the generated reference before Sphinx reads the pages."""
    folder = Path(__file__).parent / "_generated"
    app.connect("builder-inited", lambda _: write_reference(folder))
    app.connect("autodoc-process-docstring", escape_docstring)


def escape_docstring(*arguments: object) -> None:
    """Escape |y| and `w`[t], which reStructuredText would read as markup."""
    lines = arguments[-1]
    assert isinstance(lines, list)
    for number, line in enumerate(lines):
        escaped = line.replace("|", "\\|")
        lines[number] = re.sub(r"(`{1,2})([^`]+)\1([\[(])", r"\1\2\1\\ \3", escaped)
