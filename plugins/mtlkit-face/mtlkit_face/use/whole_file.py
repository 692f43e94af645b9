"""Files that come to be whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtlkit.errors import DataError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, which takes the place of `path` when all went well.

    Raises `DataError` where the disk refuses; `path` is then what it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "a.txt") as place:
    ...         _ = place.write_text("whole")
    ...     sorted(found.name for found in Path(folder).iterdir())
    ['a.txt']
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as refused:
        raise DataError(
            f"{path}: cannot be written: {refused.strerror or refused}. Nothing half-written was "
            f"left; free some space, or choose another place"
        ) from refused
    finally:
        partial.unlink(missing_ok=True)
