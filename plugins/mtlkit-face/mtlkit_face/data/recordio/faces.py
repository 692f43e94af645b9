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
import numpy as np
import numpy.typing as npt

from mtlkit.plugins import DataError
from mtlkit_face.data.recordio.container import Offsets, RecordFile, read_index

HEADER = struct.Struct("<IfQQ")
MAX_SUBJECTS = 2**24
"""Number of subjects that a float32 label can represent exactly."""

_NO_LIST = bytes(4)  # the flag of a header that no list of labels follows
_RANGE_LABELS = 2  # numbers in record 0
_MAX_LABELS = 64  # more labels indicate a damaged header
_MAX_HEADER = HEADER.size + 4 * _MAX_LABELS

_CHUNK = 2**16  # records whose headers are read at once

Progress = Callable[[str, int, int], None]
Subjects = npt.NDArray[np.int32]


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
    """Images of a RecordIO file by position: their keys and offsets."""

    file: RecordFile
    keys: Sequence[int] | Offsets
    offsets: Offsets

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, position: int, /) -> bytes:
        payload = self.file.read(int(self.offsets[position]))
        start = HEADER.size if payload.startswith(_NO_LIST) else parse_header(payload).start
        return payload[start:]

    def encoded_sizes(self) -> Offsets:
        """Return the offset (N,) of each record, which depends on the sizes of those before."""
        return self.offsets

    def place(self, position: int, /) -> str:
        return f"{self.file.path}, record {self.keys[position]} at byte {self.offsets[position]}"


def open_record_faces(path: Path, progress: Progress) -> tuple[RecordFaces, Subjects]:
    """Open the images of the file at `path`, and the number of the subject (N,) of each.

    The index (``.idx``) lists the records; without it, all are scanned. Only labels are read. If
    the folder has a file ``property``, with the number of subjects, height and width, labels are
    checked against it. Raises `DataError` if file, index, record 0 and ``property`` are
    inconsistent, or if a label is not the number of a subject.
    """
    file = RecordFile.open(path)
    index = path.with_suffix(".idx")
    if index.exists():
        keys, offsets = _indexed(file, index)
    else:
        offsets = np.fromiter((offset for offset, _ in file.records(most=0)), np.int64)
        keys = np.arange(len(offsets))
    labels, has_image = _read_headers(file, keys, offsets, progress)
    images = _images(file, keys, offsets, has_image)
    keys, offsets, labels = keys[images], offsets[images], labels[images]
    wrong = np.flatnonzero(~((labels >= 0) & (labels < MAX_SUBJECTS) & (labels == labels // 1)))
    if len(wrong):
        first = int(wrong[0])
        raise _not_a_subject(file, int(keys[first]), int(offsets[first]), float(labels[first]))
    subjects = labels.astype(np.int32)
    _check_property(path.with_name("property"), subjects)
    consecutive = len(keys) and keys[-1] - keys[0] == len(keys) - 1
    short = range(int(keys[0]), int(keys[-1]) + 1) if consecutive else keys
    return RecordFaces(file, short, offsets), subjects


def _indexed(file: RecordFile, index: Path) -> tuple[Offsets, Offsets]:
    keys, offsets = read_index(index)
    end = file.end(int(offsets.max()))
    if end != file.size:
        raise DataError(
            f"{index}: its last record ends at byte {end}, but {file.path} has {file.size} bytes; "
            f"the index is truncated or of another file. Copy it again, or delete it to scan the "
            f"file instead"
        )
    return keys, offsets


def _read_headers(
    file: RecordFile, keys: Offsets, offsets: Offsets, progress: Progress
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the first label (N,) of each record, and whether an image follows it."""
    labels = np.empty(len(keys), np.float32)
    has_image = np.empty(len(keys), np.bool_)
    for start in range(0, len(keys), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(keys)))
        lengths, words = file.single_parts(offsets[part])
        labels[part] = words[:, 1].copy().view("<f4")
        has_image[part] = lengths > HEADER.size
        for place in start + np.flatnonzero((lengths < HEADER.size) | (words[:, 0] != 0)):
            offset = int(offsets[place])
            header = _header(file, int(keys[place]), offset)
            labels[place] = header.labels[0]
            has_image[place] = len(file.read(offset, _MAX_HEADER + 1)) > header.start
        progress("reading labels", part.stop, len(keys))
    return labels, has_image


def _images(
    file: RecordFile, keys: Offsets, offsets: Offsets, has_image: npt.NDArray[np.bool_]
) -> slice:
    """Return the part of the records that are images: those that record 0 lists, or all."""
    if keys[0] != 0 or has_image[0]:
        return slice(None)
    header = _header(file, 0, int(offsets[0]))
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
    last = int(every) - 1
    missing = np.setdiff1d(np.arange(1, last + 1), keys, assume_unique=True)
    if len(missing):
        raise DataError(
            f"{file.path}: record 0 lists the records 1 to {last}; the index lacks "
            f"{len(missing)} of them, such as {missing[0]}"
        )
    more = keys[keys > last]
    if len(more):
        raise DataError(
            f"{file.path}: record 0 lists the records 1 to {last}, but the index has "
            f"{len(more)} more, such as {more[0]}"
        )
    # keys are 0 to `last` now, their own positions
    wrong = np.flatnonzero(has_image[1:] != (keys[1:] < images))
    if len(wrong):
        key = int(wrong[0]) + 1
        raise DataError(
            f"{file.path}, record {key}: got {'an' if has_image[key] else 'no'} image, but record "
            f"0 lists images up to record {int(images) - 1}"
        )
    return slice(1, int(images))


def _header(file: RecordFile, key: int, offset: int) -> Header:
    payload = file.read(offset, _MAX_HEADER)
    try:
        return parse_header(payload)
    except DataError as cause:
        raise DataError(f"{file.path}, record {key} at byte {offset}: {cause}") from cause


def _not_a_subject(file: RecordFile, key: int, offset: int, label: float) -> DataError:
    location = f"{file.path}, record {key} at byte {offset}"
    if label < MAX_SUBJECTS or not math.isfinite(label):
        return DataError(f"{location}: got the label {label:g}, expected the number of a subject")
    return DataError(
        f"{location}: got the label {label:.0f}, expected one below {MAX_SUBJECTS}, the limit "
        f"of exact numbers in float32"
    )


def _check_property(path: Path, subjects: Subjects) -> None:
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
    if len(subjects) and subjects.max() >= count:
        raise DataError(
            f"{path}: has {count} subjects, numbered from 0, but a record has the label "
            f"{subjects.max()}"
        )
