"""Read face images of a RecordIO file, as packed by insightface and ``im2rec``.

A payload is a header of 24 bytes (flag, label, two ids), then `flag` labels if the flag is not 0,
then the encoded image. In files of insightface, record 0 has two numbers instead of an image: the
key after the last image, and the key after the records of subjects, which follow the images.
"""

import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from mtlkit.plugins import DataError
from mtlkit_face.data.recordio import RecordFile, read_index

HEADER = struct.Struct("<IfQQ")
MAX_SUBJECTS = 2**24
"""Number of subjects that a float32 label can represent exactly."""

_RANGE_LABELS = 2  # numbers in record 0
_MAX_LABELS = 64  # more labels indicate a damaged header
_MAX_HEADER = HEADER.size + 4 * _MAX_LABELS

Progress = Callable[[str, int, int], None]


@attrs.frozen
class Header:
    """Labels of an image, and the byte of the payload at which the image starts."""

    labels: tuple[float, ...]
    start: int
    listed: bool  # the labels follow the fixed-size header


def parse_header(payload: bytes) -> Header:
    """Parse the header of a payload; raises `DataError` if it is invalid.

    >>> parse_header(HEADER.pack(0, 7.0, 1, 0) + b"image")
    Header(labels=(7.0,), start=24, listed=False)
    """
    if len(payload) < HEADER.size:
        raise DataError(f"got {len(payload)} bytes, expected a header of {HEADER.size} bytes")
    flag, label, _, _ = HEADER.unpack_from(payload)
    if flag == 0:
        return Header((label,), HEADER.size, listed=False)
    start = HEADER.size + 4 * flag
    if flag > _MAX_LABELS or start > len(payload):
        raise DataError(f"got {flag} labels before an image, expected at most {_MAX_LABELS}")
    return Header(struct.unpack_from(f"<{flag}f", payload, HEADER.size), start, listed=True)


@attrs.frozen(eq=False)
class RecordFaces:
    """Images of a RecordIO file by position: their keys, offsets and subjects."""

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
    """Open the images of the file at `path`, by its index (``.idx``) or by a scan of all records.

    Only labels are read. If the folder has a file ``property``, with the number of subjects, height
    and width, labels are checked against it. Raises `DataError` if file, index, record 0 and
    ``property`` are inconsistent, or if a label is not the number of a subject.
    """
    file = RecordFile.open(path)
    index = path.with_suffix(".idx")
    if index.exists():
        offsets = _indexed(file, index)
    else:
        offsets = {number: offset for number, (offset, _) in enumerate(file.records(most=0))}
    offsets = _image_offsets(file, offsets)
    subjects = []
    for number, (key, offset) in enumerate(offsets.items(), start=1):
        subjects.append(_subject(file, key, offset))
        if number % 4096 == 0 or number == len(offsets):
            progress("reading labels", number, len(offsets))
    _check_property(path.with_name("property"), subjects)
    return RecordFaces(file, [*offsets], [*offsets.values()], subjects)


def _indexed(file: RecordFile, index: Path) -> dict[int, int]:
    offsets = read_index(index)
    last = max(offsets.values())
    end = file.end(last)
    if end != file.size:
        raise DataError(
            f"{index}: its last record ends at byte {end}, but {file.path} has {file.size} bytes; "
            f"the index is truncated or of another file. Copy it again, or delete it to scan the "
            f"file instead"
        )
    return dict(sorted(offsets.items()))


def _image_offsets(file: RecordFile, offsets: dict[int, int]) -> dict[int, int]:
    """Return the offsets of images by key: those in the range of record 0, or all without one."""
    if 0 not in offsets:
        return offsets
    header = _header(file, 0, offsets[0])
    if _has_image(file, offsets[0], header):
        return offsets
    if not header.listed or len(header.labels) != _RANGE_LABELS:
        raise DataError(
            f"{file.path}, record 0: got {len(header.labels)} label and no image, expected an "
            f"image, or the keys at which images and all records end"
        )
    images, every = header.labels
    if not (images.is_integer() and every.is_integer() and 1 < images <= every):
        raise DataError(
            f"{file.path}, record 0: got {images:g} and {every:g}, expected the keys at which "
            f"images and all records end"
        )
    missing = [key for key in range(1, int(every)) if key not in offsets]
    if missing:
        raise DataError(
            f"{file.path}: record 0 lists the records 1 to {int(every) - 1}; the index lacks "
            f"{len(missing)} of them, such as {missing[0]}"
        )
    more = [key for key in offsets if key >= every]
    if more:
        raise DataError(
            f"{file.path}: record 0 lists the records 1 to {int(every) - 1}, but the index has "
            f"{len(more)} more, such as {more[0]}"
        )
    for key in range(1, int(every)):
        is_image = _has_image(file, offsets[key], _header(file, key, offsets[key]))
        if is_image != (key < images):
            raise DataError(
                f"{file.path}, record {key}: got {'an' if is_image else 'no'} image, but record 0 "
                f"lists images up to record {int(images) - 1}"
            )
    return {key: offsets[key] for key in range(1, int(images))}


def _has_image(file: RecordFile, offset: int, header: Header) -> bool:
    """Return whether the record at `offset` has bytes after its header."""
    return len(file.read(offset, _MAX_HEADER + 1)) > header.start


def _header(file: RecordFile, key: int, offset: int) -> Header:
    payload = file.read(offset, _MAX_HEADER)
    try:
        return parse_header(payload)
    except DataError as cause:
        raise DataError(f"{file.path}, record {key} at byte {offset}: {cause}") from cause


def _subject(file: RecordFile, key: int, offset: int) -> int:
    location = f"{file.path}, record {key} at byte {offset}"
    label = _header(file, key, offset).labels[0]
    if not math.isfinite(label) or label < 0 or not label.is_integer():
        raise DataError(f"{location}: got the label {label:g}, expected the number of a subject")
    if label >= MAX_SUBJECTS:
        raise DataError(
            f"{location}: got the label {label:.0f}, expected one below {MAX_SUBJECTS}, the limit "
            f"of exact numbers in float32"
        )
    return int(label)


def _check_property(path: Path, subjects: Sequence[int]) -> None:
    """Check the labels against the file ``property``, if it exists."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    numbers = text.split(",")
    if len(numbers) != 3 or not all(number.strip().isdigit() for number in numbers):
        raise DataError(
            f"{path}: got {text[:80]!r}, expected the number of subjects, height and width"
        )
    count = int(numbers[0])
    if subjects and max(subjects) >= count:
        raise DataError(
            f"{path}: has {count} subjects, numbered from 0, but a record has the label "
            f"{max(subjects)}"
        )
