"""Pack a folder of faces into one RecordIO file, in the layout of insightface."""

import csv
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mtlkit.data import FORMATS, Store
from mtlkit.plugins import DataError, replaced_file, write_file
from mtlkit_face.data.recordio.container import RecordWriter
from mtlkit_face.data.recordio.faces import HEADER, MAX_SUBJECTS


def pack(store: Store, subjects: Sequence[str], out: Path) -> None:
    """Write the images of `store` to `out`, with its index, ``property`` and subjects' names.

    `out` ends in ``.rec``; ``.idx``, ``property`` and ``subjects.csv``, the names by number, are
    written to the same folder. Encoded images are copied, and must have equal sizes. Record 0 has
    the key after the last image; a record per subject follows the images. Raises `DataError` if
    image sizes differ or a file already exists. No file remains after an interruption.
    """
    names = sorted(set(subjects))
    if len(names) >= MAX_SUBJECTS:
        raise DataError(f"got {len(names)} subjects, expected fewer than {MAX_SUBJECTS}")
    if out.exists():
        raise DataError(f"{out}: already exists; choose another name or folder")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("number", "subject"), *enumerate(names)])
    files = {out.with_name("subjects.csv"): text.getvalue().encode()}
    _refuse_others(files)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(out) as records:  # is the last to appear
        with replaced_file(out.with_suffix(".idx")) as index:
            width, height = _write_records(store, subjects, names, records, index)
            files[out.with_name("property")] = f"{len(names)},{height},{width}\n".encode()
            _refuse_others({**files, out.with_suffix(".idx"): index.read_bytes()})
        for path, content in files.items():
            write_file(path, content)


def _refuse_others(files: Mapping[Path, bytes]) -> None:
    """Raise `DataError` if one of the files exists with another content.

    An equal one is of the same call, which was killed before its records appeared.
    """
    for path, content in files.items():
        if path.exists() and path.read_bytes() != content:
            raise DataError(f"{path}: already exists; choose another name or folder")


def _write_records(
    store: Store, subjects: Sequence[str], names: Sequence[str], records: Path, index: Path
) -> tuple[int, int]:
    """Write records and index, sorted by subject, and return the images' width and height."""
    number = {name: index for index, name in enumerate(names)}
    order = sorted(range(len(store)), key=lambda position: number[subjects[position]])
    images, every = len(store) + 1, len(store) + 1 + len(names)
    size: tuple[int, int] | None = None
    with records.open("wb") as file, index.open("w", encoding="ascii") as lines:
        writer = RecordWriter(file)

        def write(key: int, payload: bytes) -> None:
            lines.write(f"{key}\t{writer.write(payload)}\n")

        write(0, _listed(0, images, every))
        for key, position in enumerate(order, start=1):
            encoded = store.read(position)
            width, height = _size(encoded, store.place(position))
            if size is not None and (width, height) != size:
                raise DataError(
                    f"{store.place(position)}: got {width} x {height} pixels, expected {size[0]} x "
                    f"{size[1]} as in the images before it; align them first (`mtlkit face align`)"
                )
            size = width, height
            write(key, HEADER.pack(0, number[subjects[position]], key, 0) + encoded)
        for key, (start, stop) in enumerate(_ranges(subjects, order), start=images):
            write(key, _listed(key, start, stop))
    assert size is not None, "a store has images"
    return size


def _listed(key: int, *labels: int) -> bytes:
    """Return a payload of labels without an image."""
    return HEADER.pack(len(labels), 0.0, key, 0) + struct.pack(f"<{len(labels)}f", *labels)


def _ranges(subjects: Sequence[str], order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the keys of each subject's first image and of the image after its last one."""
    start = 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or subjects[order[stop]] != subjects[order[start]]:
            yield start + 1, stop + 1
            start = stop


def _size(encoded: bytes, location: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:
            return opened.size
    except (UnidentifiedImageError, OSError) as cause:
        raise DataError(f"{location}: is not an image of a supported format") from cause
