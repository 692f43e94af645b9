"""Locate input files, and read the lines of a text file."""

from collections.abc import Sequence
from pathlib import Path

from mtlkit.plugins import DataError


def locate(path: Path, bases: Sequence[Path], option: str) -> Path:
    """Return the file or folder at `path` below the first of `bases` that has it."""
    for base in bases:
        if (base / path).exists():
            return base / path
    tried = " and ".join(dict.fromkeys(str((base / path).absolute()) for base in bases))
    raise DataError(
        f"data.{option}: {path} does not exist (tried {tried}); set it with "
        f"`--set data.{option}=...`"
    )


def read_lines(path: Path, what: str, option: str = "") -> list[str]:
    """Return the lines of the UTF-8 text file `path`, without their ends.

    Raises `DataError` if it cannot be read as text; the error describes the expected content as
    `what`, and names the `option` of the path if given.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        advice = f". Correct the option `{option}`" if option else ""
        raise DataError(f"{path}: is missing; expected {what}{advice}") from None
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: is not UTF-8 text ({cause}); expected {what}") from cause
    except OSError as cause:
        raise DataError(f"{path}: cannot be read: {cause.strerror or cause}") from cause
