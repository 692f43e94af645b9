"""Input files: locate them, and read the lines of a text file."""

from collections.abc import Sequence
from pathlib import Path

from mtlkit.plugins import DataError


def locate(path: Path, bases: Sequence[Path], option: str) -> Path:
    """The file or folder at `path` below the first of `bases` that has it."""
    for base in bases:
        if (base / path).exists():
            return base / path
    places = " and ".join(dict.fromkeys(str((base / path).absolute()) for base in bases))
    raise DataError(
        f"data.{option}: there is no {path} (looked for {places}); set it by "
        f"`--set data.{option}=...`"
    )


def read_lines(path: Path, what: str, option: str = "") -> list[str]:
    """The lines of `path`, UTF-8, without their ends; `what` it is, which `option` names it if any.

    Raises `DataError` where it is missing, cannot be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        advice = f". Correct the option `{option}`" if option else ""
        raise DataError(f"{path}: is missing; expected {what}{advice}") from None
    except UnicodeDecodeError as cause:
        raise DataError(f"{path}: is no text in UTF-8 ({cause}); expected {what}") from cause
    except OSError as cause:
        raise DataError(f"{path}: cannot be read: {cause.strerror or cause}") from cause
