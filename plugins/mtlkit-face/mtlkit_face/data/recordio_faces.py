"""The face images of a RecordIO file, as insightface and ``im2rec`` pack them.

A payload is a header of 24 bytes (flag, label, two ids), then `flag` labels if the flag is not 0,
then the encoded image. Packed by insightface, record 0 holds no image but two numbers: the key at
which images end, and the key at which the records of the subjects end, which follow the images.
"""

import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from mtlkit.plugins import DataError
from mtlkit_face.data.recordio import RecordFile, read_index

HEADER = struct.Struct("<IfQQ")
LIMIT = 2**24
"""From here on a label in float32 no longer tells a subject from the next."""

_ANNOUNCED = 2  # numbers in record 0
_LABELS = 64  # more in front of an image is no label but damage
_BEGINNING = HEADER.size + 4 * _LABELS

Progress = Callable[[str, int, int], None]


@attrs.frozen
class Header:
    """What precedes an image: its labels, and the byte of the payload at which it begins."""

    labels: tuple[float, ...]
    start: int
    listed: bool  # whether the labels stand behind the header, not in it


def parse_header(payload: bytes) -> Header:
    """The header of a payload; `DataError` where there is none.

    >>> parse_header(HEADER.pack(0, 7.0, 1, 0) + b"image")
    Header(labels=(7.0,), start=24, listed=False)
    """
    if len(payload) < HEADER.size:
        raise DataError(f"expected a header of {HEADER.size} bytes, found {len(payload)} bytes")
    flag, label, _, _ = HEADER.unpack_from(payload)
    if flag == 0:
        return Header((label,), HEADER.size, listed=False)
    start = HEADER.size + 4 * flag
    if flag > _LABELS or start > len(payload):
        raise DataError(f"expected at most {_LABELS} labels before an image, found {flag}")
    return Header(struct.unpack_from(f"<{flag}f", payload, HEADER.size), start, listed=True)


@attrs.frozen(eq=False)
class RecordFaces:
    """The images of a RecordIO file by position: their keys, offsets and subjects."""

    file: RecordFile
    keys: Sequence[int]
    offsets: Sequence[int]
    subjects: Sequence[int]

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, position: int, /) -> bytes:
        payload = self.file.read(self.offsets[position])
        return payload[parse_header(payload).start :]

    def place(self, position: int, /) -> str:
        return f"{self.file.path}, record {self.keys[position]} at byte {self.offsets[position]}"


def open_record_faces(path: Path, progress: Progress) -> RecordFaces:
    """The images of the file at `path`, by the index beside it (``.idx``) or by a walk through it.

    The labels of all images are read, no image is. A file ``property`` in the same folder, with
    the number of subjects, height and width, is held against them. Raises `DataError` where file,
    index and announced numbers contradict each other, and for a label that is no subject.
    """
    file = RecordFile.open(path)
    beside = path.with_suffix(".idx")
    if beside.exists():
        places = _indexed(file, beside)
    else:
        places = {number: offset for number, (offset, _) in enumerate(file.records(most=0))}
    places = _announced(file, places)
    subjects = []
    for number, (key, offset) in enumerate(places.items(), start=1):
        subjects.append(_subject(file, key, offset))
        if number % 4096 == 0 or number == len(places):
            progress("reading labels", number, len(places))
    _check_property(path.with_name("property"), subjects)
    return RecordFaces(file, [*places], [*places.values()], subjects)


def _indexed(file: RecordFile, index: Path) -> dict[int, int]:
    places = read_index(index)
    last = max(places.values())
    end = file.end(last)
    if end != file.size:
        raise DataError(
            f"{index}: its last record ends at byte {end}, but {file.path} has {file.size} bytes; "
            f"the index is cut short, or that of another file. Without it, the file is walked "
            f"through"
        )
    return dict(sorted(places.items()))


def _announced(file: RecordFile, places: dict[int, int]) -> dict[int, int]:
    """The places of images: those that record 0 announces, or all of them where it does not."""
    if 0 not in places:
        return places
    header = _header(file, 0, places[0])
    if not header.listed or len(header.labels) != _ANNOUNCED:
        return places
    if file.read(places[0])[header.start :]:
        return places  # an image with two labels, of a set without announcement
    images, every = header.labels
    if not (images.is_integer() and every.is_integer() and 1 < images <= every):
        raise DataError(
            f"{file.path}, record 0: expected the keys at which images and all records end, found "
            f"{images:g} and {every:g}"
        )
    missing = [key for key in range(1, int(every)) if key not in places]
    if missing:
        raise DataError(
            f"{file.path}: record 0 announces the records 1 to {int(every) - 1}; the index lacks "
            f"{len(missing)} of them, {missing[0]} for one"
        )
    return {key: places[key] for key in range(1, int(images))}


def _header(file: RecordFile, key: int, offset: int) -> Header:
    payload = file.read(offset, _BEGINNING)
    try:
        return parse_header(payload)
    except DataError as cause:
        raise DataError(f"{file.path}, record {key} at byte {offset}: {cause}") from cause


def _subject(file: RecordFile, key: int, offset: int) -> int:
    where = f"{file.path}, record {key} at byte {offset}"
    label = _header(file, key, offset).labels[0]
    if not math.isfinite(label) or label < 0 or not label.is_integer():
        raise DataError(f"{where}: expected the number of a subject as label, found {label:g}")
    if label >= LIMIT:
        raise DataError(
            f"{where}: the label {label:.0f} is no longer exact: in float32, subjects are told "
            f"apart below {LIMIT} only"
        )
    return int(label)


def _check_property(path: Path, subjects: Sequence[int]) -> None:
    """Hold the file ``property`` against the labels, where there is one."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    numbers = text.split(",")
    if len(numbers) != 3 or not all(number.strip().isdigit() for number in numbers):
        raise DataError(
            f"{path}: expected the number of subjects, height and width, found {text[:80]!r}"
        )
    announced = int(numbers[0])
    if subjects and max(subjects) >= announced:
        raise DataError(
            f"{path}: announces {announced} subjects, numbered from 0, but a record has the label "
            f"{max(subjects)}"
        )
