"""A `.bin` set of pairs: a pickle of (2N encoded images, N truth values), read without execution.

LFW, CFP, AgeDB and others are distributed in this form for networks of aligned faces. Image 2i is
paired with image 2i + 1; the pairs are in the order of their folds, which are equal parts. Memory
holds the encoded bytes, and decoded images of one batch.
"""

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from mtlkit.plugins import DataError, at_least
from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs.guarded_pickle import MAX_SHOWN, StoredArray, named, read_guarded
from mtlkit_face.protocols.pairs.pair_protocol import PairProtocol
from mtlkit_face.protocols.pairs.pair_set import Indices, PairSet
from mtlkit_face.protocols.pictures import FaceImage

MAX_IMAGE_BYTES = 16 * 1024**2
"""The largest encoded face accepted."""


@attrs.frozen(kw_only=True)
class VerificationBin(PairProtocol):
    """A `.bin` set of pairs of aligned faces, whose pickle is never executed.

    `file` is the set; a relative path starts from the working directory. The strict mode expects
    pairs that divide into `fold_count` equal folds, both kinds in each.

    >>> VerificationBin(file=Path("sets/agedb_30.bin")).prefix
    'face/verification-bin/agedb_30'
    """

    file: Path
    fold_count: int = attrs.field(default=10, validator=at_least(2))

    @property
    def name(self) -> str:
        return f"verification-bin/{self.file.stem}"

    @property
    def title(self) -> str:
        return f"Verification, {self.file.name}"

    def read(self) -> dict[str, PairSet]:
        pairs = read_pickled_pairs(self.file, self.fold_count)
        if self.mode is Mode.STRICT and len(pairs) % self.fold_count:
            raise DataError(
                f"{self.file}: {len(pairs):,} pairs do not divide into {self.fold_count} equal "
                f"folds; set `fold_count`, or `mode: compatible` for folds that differ by a pair"
            )
        return {"": pairs}


def read_pickled_pairs(path: Path, folds: int = 10) -> PairSet:
    """Read the pairs in the file at `path`, in `folds` folds by order.

    If the number does not divide equally, the first folds have one pair more. Raises `DataError`
    if the file has anything but image bytes, or inconsistent numbers.
    """
    content = read_guarded(path)
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise DataError(
            f"{path}: expected two lists, of images and of whether pairs match, got "
            f"{_described(content)}"
        )
    contents, same = _contents(path, content[0]), _truths(path, content[1])
    if len(contents) != 2 * len(same) or len(same) < folds:
        raise DataError(
            f"{path}: expected two images for each pair and {folds} pairs or more, got "
            f"{len(contents):,} images for {len(same):,} pairs"
        )
    pictures = [
        FaceImage(name=f"pair {i // 2 + 1}, image {i % 2 + 1}", source=image or None,
                fault="" if image else "is empty (0 bytes)")
        for i, image in enumerate(contents)
    ]  # fmt: skip
    first = np.arange(len(same)) * 2
    return PairSet(
        pictures=pictures, first=first, second=first + 1, same=same,
        fold=_in_order(len(same), folds), person=None,
        version=f"{path.name}, {len(same):,} pairs in {folds} folds by order",
    )  # fmt: skip


def _in_order(pairs: int, folds: int) -> Indices:
    """Return the fold of each pair (P,), as in cross-validation without shuffling."""
    sizes = np.full(folds, pairs // folds)
    sizes[: pairs % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def _contents(path: Path, images: object) -> list[bytes]:
    """Return the encoded images, without copies of repeated ones."""
    if not isinstance(images, list | tuple):
        raise DataError(f"{path}: expected a list of encoded images, got {_described(images)}")
    contents: list[bytes] = []
    # a pickle may refer to one image many times; `images` holds each while its id is a key
    copies: dict[int, bytes] = {}
    for number, image in enumerate(images):
        content = _unsigned(image) if isinstance(image, StoredArray) else image
        if not isinstance(content, bytes | bytearray):
            raise DataError(
                f"{path}: image {number}: expected encoded bytes, got {_described(image)}"
            )
        if len(content) > MAX_IMAGE_BYTES:
            raise DataError(
                f"{path}: image {number}: has {len(content):,} bytes; expected an encoded face of "
                f"at most {MAX_IMAGE_BYTES:,}"
            )
        if id(image) not in copies:
            copies[id(image)] = bytes(content)
        contents.append(copies[id(image)])
    return contents


def _unsigned(array: StoredArray) -> object:
    """Return the bytes of an array of 8-bit numbers, None of any other."""
    return array.raw if array.kind in ("u1", "|u1", "uint8") else None


def _truths(path: Path, stored: object) -> Bools:
    """Return the labels (P,) of matching pairs, stored as booleans, or as 0 and 1."""
    values: Sequence[object]
    if isinstance(stored, StoredArray) and stored.kind in ("b1", "|b1", "?", "bool", "u1"):
        raw = stored.raw
        values = list(raw) if isinstance(raw, bytes | bytearray) else [raw]
    elif isinstance(stored, list | tuple):
        values = stored
    else:
        raise DataError(f"{path}: expected a list of truth values, got {_described(stored)}")
    for number, value in enumerate(values):
        if not isinstance(value, bool | int) or value not in (0, 1):
            raise DataError(
                f"{path}: pair {number}: expected True or False for a match, got "
                f"{_described(value)}"
            )
    return np.array(values, dtype=bool)


def _described(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"{len(value)} values"
    if isinstance(value, StoredArray):
        return f"an array of {named(getattr(value.kind, 'name', value.kind))}"
    if isinstance(value, str | bytes | bytearray):
        value = value[:MAX_SHOWN]
    return f"{type(value).__name__} {str(value)[:MAX_SHOWN]!r}"
