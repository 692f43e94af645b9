"""A `.bin` set of pairs: a pickle of (2N encoded images, N truth values), read by a guarded reader.

LFW, CFP, AgeDB and others travel so for networks of aligned faces. Image 2i is paired with image
2i + 1; the pairs are in the order of their folds, which are equal parts. Only encoded bytes are
held, never more decoded images than a batch.
"""

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from mtlkit.plugins import DataError, at_least
from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs.guarded_pickle import MOST_SHOWN, StoredArray, named, read_guarded
from mtlkit_face.protocols.pairs.pair_protocol import PairProtocol
from mtlkit_face.protocols.pairs.pair_set import PairSet, Places
from mtlkit_face.protocols.pictures import FaceImage

MOST_IMAGE_BYTES = 16 * 1024**2
"""An encoded face of more is a mistake, or a trap."""


@attrs.frozen(kw_only=True)
class VerificationBin(PairProtocol):
    """A `.bin` set of pairs of aligned faces, read without running what is pickled in it.

    `file` is the set; a relative path starts from the working directory. The strict mode expects
    pairs that divide into `folds` equal folds, both kinds in each.

    >>> VerificationBin(file=Path("sets/agedb_30.bin")).prefix
    'face/verification-bin/agedb_30'
    """

    file: Path
    folds: int = attrs.field(default=10, validator=at_least(2))

    @property
    def name(self) -> str:
        return f"verification-bin/{self.file.stem}"

    @property
    def title(self) -> str:
        return f"Verification, {self.file.name}"

    def read(self) -> dict[str, PairSet]:
        pairs = read_pickled_pairs(self.file, self.folds)
        if self.mode is Mode.STRICT and len(pairs) % self.folds:
            raise DataError(
                f"{self.file}: {len(pairs):,} pairs do not divide into {self.folds} equal folds; "
                f"set `folds`, or `mode: compatible` for folds that differ by a pair"
            )
        return {"": pairs}


def read_pickled_pairs(path: Path, folds: int = 10) -> PairSet:
    """The pairs in the file at `path`, in so many folds of its order.

    Folds are equal; of a number that does not divide, the first ones have a pair more. Raises
    `DataError` where the file names anything but image bytes, or its numbers do not fit.
    """
    found = read_guarded(path)
    if not isinstance(found, list | tuple) or len(found) != 2:
        raise DataError(
            f"{path}: expected two lists, of images and of whether pairs match, found "
            f"{_described(found)}"
        )
    contents, same = _contents(path, found[0]), _truths(path, found[1])
    if len(contents) != 2 * len(same) or len(same) < folds:
        raise DataError(
            f"{path}: expected two images for each pair and {folds} pairs or more, found "
            f"{len(contents):,} images for {len(same):,} pairs"
        )
    pictures = [
        FaceImage(name=f"pair {i // 2 + 1}, image {i % 2 + 1}", source=content or None,
                fault="" if content else "is empty (0 bytes)")
        for i, content in enumerate(contents)
    ]  # fmt: skip
    first = np.arange(len(same)) * 2
    return PairSet(
        pictures=pictures, first=first, second=first + 1, same=same,
        fold=_in_order(len(same), folds), person=None,
        version=f"{path.name}, {len(same):,} pairs in {folds} folds by order",
    )  # fmt: skip


def _in_order(pairs: int, folds: int) -> Places:
    """The fold of each pair (P,), as cross-validation without shuffling cuts them."""
    sizes = np.full(folds, pairs // folds)
    sizes[: pairs % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def _contents(path: Path, found: object) -> list[bytes]:
    """The encoded images; the list itself is reused, so that no bytes are held twice."""
    if not isinstance(found, list | tuple):
        raise DataError(f"{path}: expected a list of encoded images, found {_described(found)}")
    contents: list[bytes] = []
    known: dict[int, bytes] = {}  # a file may name one image many times, and has it once
    for number, each in enumerate(found):
        content = _unsigned(each) if isinstance(each, StoredArray) else each
        if not isinstance(content, bytes | bytearray):
            raise DataError(
                f"{path}: image {number}: expected encoded bytes, found {_described(each)}"
            )
        if len(content) > MOST_IMAGE_BYTES:
            raise DataError(
                f"{path}: image {number}: has {len(content):,} bytes; expected an encoded face of "
                f"at most {MOST_IMAGE_BYTES:,}"
            )
        if id(content) not in known:
            known[id(content)] = bytes(content)
        contents.append(known[id(content)])
    return contents


def _unsigned(array: StoredArray) -> object:
    """The bytes of an array of 8-bit numbers, None of any other."""
    return array.raw if array.kind in ("u1", "|u1", "uint8") else None


def _truths(path: Path, found: object) -> Bools:
    """Whether each pair is of one person, as booleans, or as 0 and 1."""
    values: Sequence[object]
    if isinstance(found, StoredArray) and found.kind in ("b1", "|b1", "?", "bool", "u1"):
        raw = found.raw
        values = list(raw) if isinstance(raw, bytes | bytearray) else [raw]
    elif isinstance(found, list | tuple):
        values = found
    else:
        raise DataError(f"{path}: expected a list of truth values, found {_described(found)}")
    for number, value in enumerate(values):
        if not isinstance(value, bool | int) or value not in (0, 1):
            raise DataError(
                f"{path}: pair {number}: expected whether it matches, True or False, found "
                f"{_described(value)}"
            )
    return np.array(values, dtype=bool)


def _described(found: object) -> str:
    if isinstance(found, list | tuple):
        return f"{len(found)} values"
    if isinstance(found, StoredArray):
        return f"an array of {named(getattr(found.kind, 'name', found.kind))}"
    if isinstance(found, str | bytes | bytearray):
        found = found[:MOST_SHOWN]
    return f"{type(found).__name__} {str(found)[:MOST_SHOWN]!r}"
