"""A folder of faces as one RecordIO file, laid out as insightface does."""

import csv
import io
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mtlkit.data import FORMATS
from mtlkit.plugins import DataError
from mtlkit_face.data.recordio import RecordWriter
from mtlkit_face.data.recordio_faces import HEADER, LIMIT
from mtlkit_face.data.stored_faces import Store


def pack(store: Store, subjects: Sequence[str], out: Path) -> None:
    """Write the images of `store` into ``out`` with its index, ``property`` and subjects' names.

    `out` ends in ``.rec``; beside it come ``.idx``, ``property`` and ``subjects.csv``, the names
    by number. Images are copied as they are and must all have one size. Record 0 announces where
    images end, and after them comes a record for each subject. Raises `DataError` where an image is
    of another size or a file is there already; an interruption leaves none of the files.
    """
    names = sorted(set(subjects))
    if len(names) >= LIMIT:
        raise DataError(f"{len(names)} subjects; a label in float32 tells {LIMIT} apart")
    beside = (
        out,
        out.with_suffix(".idx"),
        out.with_name("property"),
        out.with_name("subjects.csv"),
    )
    for path in beside:
        if path.exists():
            raise DataError(f"{path}: is there already; choose another name or folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    made = [path.with_name(f".{path.name}.{os.getpid()}") for path in beside]
    try:
        width, height = _write_records(store, subjects, names, made[0], made[1])
        made[2].write_text(f"{len(names)},{height},{width}\n", encoding="ascii")
        with made[3].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(
                [("number", "subject"), *enumerate(names)]
            )
        for temporary, path in zip(made, beside, strict=True):
            os.replace(temporary, path)
    finally:
        for temporary in made:
            temporary.unlink(missing_ok=True)


def _write_records(
    store: Store, subjects: Sequence[str], names: Sequence[str], records: Path, index: Path
) -> tuple[int, int]:
    """Write records and index, subject after subject; gives the images' width and height."""
    number = {name: place for place, name in enumerate(names)}
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
            found = _size(encoded, store.place(position))
            if size is not None and found != size:
                raise DataError(
                    f"{store.place(position)}: is {found[0]} x {found[1]} pixels, images before it "
                    f"{size[0]} x {size[1]}; align them first (`mtlkit face align`)"
                )
            size = found
            write(key, HEADER.pack(0, number[subjects[position]], key, 0) + encoded)
        for key, (start, stop) in enumerate(_ranges(subjects, order), start=images):
            write(key, _listed(key, start, stop))
    assert size is not None, "a store has images"
    return size


def _listed(key: int, *labels: int) -> bytes:
    """A payload of labels without an image."""
    return HEADER.pack(len(labels), 0.0, key, 0) + struct.pack(f"<{len(labels)}f", *labels)


def _ranges(subjects: Sequence[str], order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The keys of each subject's first image and of the one after its last."""
    start = 0
    for place in range(1, len(order) + 1):
        if place == len(order) or subjects[order[place]] != subjects[order[start]]:
            yield start + 1, place + 1
            start = place


def _size(encoded: bytes, where: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as opened:
            return opened.size
    except (UnidentifiedImageError, OSError) as cause:
        raise DataError(f"{where}: is not an image of a supported format") from cause
