"""LFW, View 2: `pairs.txt` next to folders of images `Name/Name_0001.jpg`.

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

_DESCRIPTION = "the list of pairs of LFW's View 2 (`pairs.txt`)"


@attrs.frozen(kw_only=True)
class LFW(PairProtocol):
    """LFW, View 2: ten folds of pairs, each at the threshold selected on the other nine.

    `images` holds the folders of people, aligned already; `pairs` is the list, by default
    `pairs.txt` in it or one folder up. Relative paths start from the working directory. The strict
    mode expects `fold_count` folds of `fold_pairs` pairs of each kind.

    >>> LFW(images=Path("lfw")).prefix
    'face/lfw'
    """

    images: Path
    pairs: Path | None = None
    fold_count: int = attrs.field(default=10, validator=at_least(2))
    fold_pairs: int = attrs.field(default=300, validator=at_least(1))

    @property
    def name(self) -> str:
        return "lfw"

    @property
    def title(self) -> str:
        return "LFW"

    def read(self) -> dict[str, PairSet]:
        pairs = read_lfw(self.images, self.pairs)
        expect_folds(self, pairs, self.fold_count, self.fold_pairs)
        return {"": pairs}


def read_lfw(images: Path, pairs: Path | None = None) -> PairSet:
    """Read the pairs of LFW below `images`; `pairs` is the list, by default there or one folder up.

    Raises `DataError` if the list is invalid, or its number of pairs differs from its first line.
    """
    tree = Tree(images)
    path = pairs or _list_of(images)
    lines = read_lines(path, _DESCRIPTION, "pairs")
    folds, count = _counts(path, lines)
    first: list[int] = []
    second: list[int] = []
    indices: dict[tuple[str, int], int] = {}
    pictures: list[FaceImage] = []
    for number, fields in _pairs(path, lines, folds, count):
        for name, image, side in _sides(path, number, fields, first, second):
            if (name, image) not in indices:
                indices[name, image] = len(pictures)
                pictures.append(_picture(tree, name, image, f"{path}:{number}"))
            side.append(indices[name, image])
    names = {name: code for code, name in enumerate(dict.fromkeys(name for name, _ in indices))}
    order = np.arange(2 * count * folds)
    return PairSet(
        pictures=pictures,
        first=np.array(first, np.int64),
        second=np.array(second, np.int64),
        same=order % (2 * count) < count,
        fold=order // (2 * count),
        person=np.array([names[name] for name, _ in indices], np.int64),
        version=f"View 2, {folds} folds of {count} + {count} pairs",
    )


def _list_of(images: Path) -> Path:
    inner, outer = images / "pairs.txt", images.parent / "pairs.txt"
    return outer if outer.is_file() and not inner.is_file() else inner


def _counts(path: Path, lines: list[str]) -> tuple[int, int]:
    head = lines[0].split() if lines else []
    if len(head) != 2 or not all(word.isdecimal() and int(word) > 0 for word in head):
        raise DataError(
            f"{path}:1: expected the number of folds and of pairs of each kind, such as `10 300`, "
            f"got {lines[0].strip()!r}; use View 2's list"
            if lines
            else f"{path}: is empty; expected {_DESCRIPTION}"
        )
    return int(head[0]), int(head[1])


def _pairs(path: Path, lines: list[str], folds: int, count: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each pair; three fields are one person, four are two."""
    rows = [(n, line) for n, line in enumerate(lines[1:], start=2) if line.strip()]
    if len(rows) != 2 * count * folds:
        raise DataError(
            f"{path}: expected {folds} folds of {count} + {count} pairs, {2 * count * folds} lines "
            f"after the first, which states these numbers; got {len(rows)}. The list is incomplete"
        )
    for order, (number, line) in enumerate(rows):
        fields = line.strip().split("\t") if "\t" in line.strip() else line.split()
        expected = 3 if order % (2 * count) < count else 4
        if len(fields) != expected:
            form = "`name i j`, one person" if expected == 3 else "`name i name j`, two people"
            raise DataError(f"{path}:{number}: expected {form}; got {line.strip()!r}")
        yield number, [field.strip() for field in fields]


def _sides(
    path: Path, number: int, fields: list[str], first: list[int], second: list[int]
) -> Iterator[tuple[str, int, list[int]]]:
    """Yield the two pictures of a line, each with the list for its index."""
    name, other = fields[0], fields[0] if len(fields) == 3 else fields[2]
    for word in (fields[1], fields[-1]):
        if not word.isdecimal():
            raise DataError(f"{path}:{number}: expected the number of an image, got {word!r}")
    if len(fields) == 4 and name == other:
        raise DataError(f"{path}:{number}: expected two people, got {name!r} twice")
    yield name, int(fields[1]), first
    yield other, int(fields[-1]), second


def _picture(tree: Tree, name: str, image: int, location: str) -> FaceImage:
    listed = f"{name}/{name}_{image:04d}.jpg"
    relative = inside(tree.root, listed, location)
    if relative != PurePosixPath(listed) or len(relative.parts) != 2:
        raise DataError(f"{location}: the name {name!r} is not the name of a folder")
    file = tree.find(relative)
    return FaceImage(name=listed, source=file, fault="" if file else "is missing")
