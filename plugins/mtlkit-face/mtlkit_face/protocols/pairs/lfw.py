"""LFW, View 2: `pairs.txt` beside folders of images `Name/Name_0001.jpg`.

The list's first line is the number of folds and of pairs of each kind in a fold. Every fold is so
many lines ``name i j``, two images of one person, and so many ``name i name j``, of two. Folds are
in the order of the file, and no person is in two (Huang et al., 2007).
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import attrs
import numpy as np

from mtlkit.plugins import DataError, at_least
from mtlkit_face.data.input_files import read_lines
from mtlkit_face.protocols.listed_files import Tree, inside
from mtlkit_face.protocols.pairs.pair_protocol import PairProtocol, expect_folds
from mtlkit_face.protocols.pairs.pair_set import PairSet
from mtlkit_face.protocols.pictures import FaceImage

OFFICIAL = (10, 300)
"""Folds, and pairs of each kind in a fold."""

_WHAT = "the list of pairs of LFW's View 2 (`pairs.txt`)"


@attrs.frozen(kw_only=True)
class Lfw(PairProtocol):
    """LFW, View 2: ten folds of pairs, each judged at a threshold that the other nine chose.

    `images` holds the folders of people, aligned already; `pairs` is the list, by default
    `pairs.txt` there or one folder up. Relative paths start from the working directory. The strict
    mode expects `folds` folds of `fold_pairs` pairs of each kind.

    >>> Lfw(images=Path("lfw")).prefix
    'face/lfw'
    """

    images: Path
    pairs: Path | None = None
    folds: int = attrs.field(default=10, validator=at_least(2))
    fold_pairs: int = attrs.field(default=300, validator=at_least(1))

    @property
    def name(self) -> str:
        return "lfw"

    @property
    def title(self) -> str:
        return "LFW"

    def read(self) -> dict[str, PairSet]:
        pairs = read_lfw(self.images, self.pairs)
        expect_folds(self, pairs, self.folds, self.fold_pairs)
        return {"": pairs}


def read_lfw(images: Path, pairs: Path | None = None) -> PairSet:
    """The pairs of LFW below `images`; `pairs` is the list, by default there or one folder up.

    Raises `DataError` where the list is none, or says another number of pairs than it has.
    """
    tree = Tree(images)
    path = pairs or _list_of(images)
    lines = read_lines(path, _WHAT, "pairs")
    folds, each = _counts(path, lines)
    first: list[int] = []
    second: list[int] = []
    places: dict[tuple[str, int], int] = {}
    pictures: list[FaceImage] = []
    for number, fields in _pairs(path, lines, folds, each):
        for name, image, side in _sides(path, number, fields, first, second):
            if (name, image) not in places:
                places[name, image] = len(pictures)
                pictures.append(_picture(tree, name, image, f"{path}:{number}"))
            side.append(places[name, image])
    names = {name: code for code, name in enumerate(dict.fromkeys(name for name, _ in places))}
    count = 2 * each * folds
    return PairSet(
        pictures=pictures,
        first=np.array(first, np.int64),
        second=np.array(second, np.int64),
        same=np.arange(count) % (2 * each) < each,
        fold=np.arange(count) // (2 * each),
        person=np.array([names[name] for name, _ in places], np.int64),
        version=f"View 2, {folds} folds of {each} + {each} pairs",
    )


def _list_of(images: Path) -> Path:
    own = images / "pairs.txt"
    above = images.parent / "pairs.txt"
    return above if above.is_file() and not own.is_file() else own


def _counts(path: Path, lines: list[str]) -> tuple[int, int]:
    head = lines[0].split() if lines else []
    if len(head) != 2 or not all(word.isdecimal() and int(word) > 0 for word in head):
        raise DataError(
            f"{path}:1: expected the number of folds and of pairs of each kind, such as `10 300`, "
            f"found {lines[0].strip()!r}; give View 2's list"
            if lines
            else f"{path}: is empty; expected {_WHAT}"
        )
    return int(head[0]), int(head[1])


def _pairs(path: Path, lines: list[str], folds: int, each: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each pair; their number of fields says of which kind it is."""
    rows = [(n, line) for n, line in enumerate(lines[1:], start=2) if line.strip()]
    if len(rows) != 2 * each * folds:
        raise DataError(
            f"{path}: expected {folds} folds of {each} + {each} pairs, {2 * each * folds} lines "
            f"after the first, as its first line says; found {len(rows)}. The list is incomplete"
        )
    for order, (number, line) in enumerate(rows):
        fields = line.strip().split("\t") if "\t" in line.strip() else line.split()
        wanted = 3 if order % (2 * each) < each else 4
        if len(fields) != wanted:
            form = "`name i j`, one person" if wanted == 3 else "`name i name j`, two people"
            raise DataError(f"{path}:{number}: expected {form}; found {line.strip()!r}")
        yield number, [field.strip() for field in fields]


def _sides(
    path: Path, number: int, fields: list[str], first: list[int], second: list[int]
) -> Iterator[tuple[str, int, list[int]]]:
    """The two pictures of a line, each with the list that its place goes to."""
    name, other = fields[0], fields[0] if len(fields) == 3 else fields[2]
    for word in (fields[1], fields[-1]):
        if not word.isdecimal():
            raise DataError(f"{path}:{number}: expected the number of an image, found {word!r}")
    if len(fields) == 4 and name == other:
        raise DataError(f"{path}:{number}: expected two people, found {name!r} twice")
    yield name, int(fields[1]), first
    yield other, int(fields[-1]), second


def _picture(tree: Tree, name: str, image: int, place: str) -> FaceImage:
    listed = f"{name}/{name}_{image:04d}.jpg"
    relative = inside(tree.root, listed, place)
    if relative != PurePosixPath(listed) or len(relative.parts) != 2:
        raise DataError(f"{place}: the name {name!r} is no name of a folder")
    found = tree.find(relative)
    return FaceImage(name=listed, source=found, fault="" if found else "is missing")
