"""The option ``--cache`` of commands, of mtlkit and of plugins."""

import os
import sys
import tempfile
from pathlib import Path

import click


def user_cache() -> Path:
    """Return the user's cache folder for mtlkit, by the convention of the system.

    A user without a home folder, as in some containers, gets the folder of temporary files.
    """
    try:
        return _user_cache()
    except RuntimeError:  # Path.home() found none
        return Path(tempfile.gettempdir()) / "mtlkit-cache"


def _user_cache() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "mtlkit"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mtlkit"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mtlkit"


cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=user_cache,
    metavar="DIR",
    help="Where rendered or converted data is kept; by default the user's cache folder.",
)
"""The option ``--cache`` of every command that loads data."""
