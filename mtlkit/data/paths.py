"""Where the path of a recipe leads: it is looked for in several places, in order."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mtlkit.errors import DataError


def find_folder(path: Path, bases: Sequence[Path], option: str) -> Path:
    """The first folder called `path` below one of `bases`; `DataError` names the `option`."""
    return _find(path, bases, option, "folder", Path.is_dir)


def find_file(path: Path, bases: Sequence[Path], option: str) -> Path:
    """The first file called `path` below one of `bases`; `DataError` names the `option`."""
    return _find(path, bases, option, "file", Path.is_file)


def _find(
    path: Path, bases: Sequence[Path], option: str, what: str, fits: Callable[[Path], bool]
) -> Path:
    for base in bases:
        if fits(base / path):
            return base / path
    places = " and ".join(dict.fromkeys(str((base / path).absolute()) for base in bases))
    raise DataError(
        f"{option}: no such {what}: {path} (looked for {places}); set it by `--set {option}=...`"
    )
