"""The lines of a text file from elsewhere."""

from pathlib import Path

from mtlkit.errors import DataError


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
