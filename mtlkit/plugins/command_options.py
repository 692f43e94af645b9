"""Options of the commands of mtlkit and of plugins."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import click

USER_CACHES = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}
"""Environment variable of the user's cache folder, and its default, on systems without XDG's."""


def user_cache() -> Path:
    """Return the user's cache folder for mtlkit, by the convention of the system.

    A user without a home folder, as in some containers, gets the folder of temporary files.
    """
    variable, folder = USER_CACHES.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    base = os.environ.get(variable) if variable else None
    try:
        return (Path(base) if base else Path.home() / folder) / "mtlkit"
    except RuntimeError:  # Path.home() found none
        return Path(tempfile.gettempdir()) / "mtlkit-cache"


RUN_FILES = (
    *("recipe.yaml", "provenance.json", "status.json", "assembly.json", "evaluation.json"),
    *("log.jsonl", "speed.jsonl", "model.safetensors"),
)
"""Files of a run without which it is damaged."""


class OutputFile(click.Path):
    """Type of an option for a file to write, refused before the work if that cannot succeed.

    Its folder must exist, and its name must end in one of `suffixes`, if any are given. Files that
    a run needs are not written over.
    """

    def __init__(self, *suffixes: str) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = cast(Path, super().convert(value, param, ctx))
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            expected = ", ".join(self.suffixes)
            self.fail(f"{path}: expected a name that ends in {expected}", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{path}: the folder {path.parent} does not exist; create it", param, ctx)
        if not os.access(path.parent, os.W_OK):
            self.fail(f"{path}: the folder {path.parent} is not writable", param, ctx)
        real = path.resolve()
        if real.name in RUN_FILES and (real.parent / RUN_FILES[0]).is_file():
            self.fail(f"{path}: belongs to the run in its folder; choose another name", param, ctx)
        return path


cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=user_cache,
    metavar="DIR",
    help="Where rendered or converted data is kept; by default the user's cache folder.",
)
"""The option ``--cache`` of every command that loads data."""
