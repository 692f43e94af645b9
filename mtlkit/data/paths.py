"""Paths in a recipe: relative to the first of several folders that contains them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mtlkit.errors import DataError
from mtlkit.regular_files import kind_of


def find_folder(path: Path, bases: Sequence[Path], option: str) -> Path:
    """Return the first folder `path` below one of `bases`; `DataError` names the `option`."""
    return _find(path, bases, option, "folder", Path.is_dir)


def find_file(path: Path, bases: Sequence[Path], option: str) -> Path:
    """Return the first file `path` below one of `bases`; `DataError` names the `option`."""
    return _find(path, bases, option, "file", Path.is_file)


def _find(
    path: Path, bases: Sequence[Path], option: str, noun: str, exists: Callable[[Path], bool]
) -> Path:
    for base in bases:
        if exists(base / path):
            return base / path
    other = next((base / path for base in bases if (base / path).exists()), None)
    if other is not None:
        raise DataError(f"{option}: {path} is {kind_of(other)}; expected a {noun}")
    candidates = " and ".join(dict.fromkeys(str((base / path).absolute()) for base in bases))
    raise DataError(
        f"{option}: no such {noun}: {path} (tried {candidates}); set it by `--set {option}=...`"
    )
