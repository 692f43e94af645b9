"""Images without labels: of a file, a folder, a table of files, or a list of paths."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from mtlkit.data.dataset import Split
from mtlkit.data.frame import Frame, Region
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.data.imaging.decoding import StoredImages, read_images, threads
from mtlkit.data.imaging.image_stores import FileStore
from mtlkit.data.imaging.region_tables import RegionTable
from mtlkit.data.listing.image_listing import (
    NOT_UTF8,
    SUFFIXES,
    escaped,
    files_below,
    is_utf8,
    leaves_folder,
)
from mtlkit.data.listing.table_files import FILE, missing_file, new_rows
from mtlkit.data.source import Loading
from mtlkit.errors import SHOWN, DataError
from mtlkit.printable import MtlkitWarning
from mtlkit.regular_files import is_file


def read_new_images(
    rows: object, frame: Frame, loading: Loading, table: RegionTable | None = None
) -> Split:
    """Return the images of `rows` in `frame`, as a split without columns.

    `table` states how regions of the training images are cut out. A table of new images with the
    same columns gives theirs; other images are taken as cut out already, and a warning states it.

    `rows` is an image file, a folder (all images below it, by name), a table in CSV or Parquet with
    a column `file` relative to the table, or a list of paths. Raises `DataError` if there is no
    image or if one cannot be decoded.
    """
    paths, ids = _paths(rows)
    regions, errors = _regions(rows, ids, frame, table)
    if not paths:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{rows}: no image in it; expected files that end in {suffixes}")
    pixels, unreadable = read_images(paths, frame, loading, regions=regions)
    errors = unreadable | errors
    errors |= {index: NOT_UTF8 for index, name in enumerate(ids) if not is_utf8(name)}
    if errors:
        lines = [f"  {escaped(ids[index])}: {reason}" for index, reason in sorted(errors.items())]
        more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        head = f"{len(errors)} of {len(paths)} images cannot be used; repair or remove them:"
        raise DataError(head, *lines[:SHOWN], *more)
    if pixels is not None:
        return Split(inputs=pixels, columns={}, ids=ids)
    store = FileStore(Path(), [*map(str, paths)])
    stored = StoredImages(store, frame, DecoderPool(threads(loading)), regions=regions)
    return Split(inputs=stored, columns={}, ids=ids)


def _regions(
    rows: object, ids: Sequence[str], frame: Frame, table: RegionTable | None
) -> tuple[list[Region | None] | None, dict[int, str]]:
    if table is None:
        return None, {}
    if isinstance(rows, str | Path) and Path(rows).suffix.lower() in (".csv", ".parquet"):
        return table.regions(Path(rows), ids, frame)
    kind = type(table).__name__.lower()
    warnings.warn(
        f"the training images were cut out by `{kind}`; {len(ids)} images without {kind} are taken "
        f"as cut out already. Pass a table with the columns of `{kind}` to cut out new ones",
        MtlkitWarning,
        stacklevel=4,
    )
    return None, {}


def _paths(rows: object) -> tuple[list[Path], list[str]]:
    """Return the files of `rows`, and an id of each."""
    if isinstance(rows, str | Path):
        path = Path(rows)
        if path.is_dir():
            names = [n for n in sorted(files_below(path)) if Path(n).suffix.lower() in SUFFIXES]
            return [path / name for name in names], names
        if path.suffix.lower() in (".csv", ".parquet"):
            return _listed(path)
        if not is_file(path):
            raise DataError(f"{path}: {missing_file(path)}; expected images, a folder or a table")
        return [path], [path.name]
    if isinstance(rows, Sequence) and all(isinstance(row, str | Path) for row in rows):
        return [Path(row) for row in rows], [str(row) for row in rows]
    raise DataError(
        f"rows: got {type(rows).__name__}, expected the path of an image, a folder or a table, or "
        f"a list of paths"
    )


def _listed(table: Path) -> tuple[list[Path], list[str]]:
    rows = new_rows(table, FILE)
    if FILE in rows[0].labels or rows[0].file == rows[0].place:
        raise DataError(f"{table}: no column {FILE!r}; expected the path of each image in it")
    for row in rows:
        if leaves_folder(row.file):
            raise DataError(f"{row.place}: {row.file} is outside of the table's folder; move it")
    return [table.parent / row.file for row in rows], [row.file for row in rows]
