"""CFP, Celebrities in Frontal-Profile: pairs by number, in folders of folds.

`Protocol/Pair_list_F.txt` and `Pair_list_P.txt` number the frontal and the profile images, one
``number path`` a line, the path starting from `Protocol`. `Protocol/Split/FF/01/same.txt` and
`diff.txt` are pairs of numbers; below `FP` the first is of the frontal list and the second of the
profile list (Sengupta et al., WACV 2016).
"""

import re
from enum import Enum
from pathlib import Path, PurePosixPath

import attrs
import numpy as np

from mtlkit.plugins import DataError, at_least, each, member_of
from mtlkit_face.data.input_files import read_lines
from mtlkit_face.protocols.listed_files import Tree, inside
from mtlkit_face.protocols.pairs.pair_protocol import PairProtocol, expect_folds
from mtlkit_face.protocols.pairs.pair_set import PairSet
from mtlkit_face.protocols.pictures import FaceImage


class Faces(Enum):
    """The two protocols of CFP."""

    FRONTAL_FRONTAL = "frontal-frontal"
    FRONTAL_PROFILE = "frontal-profile"


class _List(Enum):
    FRONTAL = "Pair_list_F.txt"
    PROFILE = "Pair_list_P.txt"


_SIDES = {
    Faces.FRONTAL_FRONTAL: ("FF", _List.FRONTAL, _List.FRONTAL),
    Faces.FRONTAL_PROFILE: ("FP", _List.FRONTAL, _List.PROFILE),
}


@attrs.frozen(kw_only=True)
class CFP(PairProtocol):
    """CFP: frontal faces verified with frontal ones and with profiles, in ten folds each.

    `images` holds `Data`, aligned already; `protocol` the lists, by default `images/Protocol`.
    Relative paths start from the working directory. The strict mode expects `fold_count` folds of
    `fold_pairs` pairs of each kind.

    >>> CFP(images=Path("cfp"), faces=(Faces.FRONTAL_PROFILE,)).name
    'cfp'
    """

    images: Path
    protocol: Path | None = None
    faces: tuple[Faces, ...] = attrs.field(
        default=(Faces.FRONTAL_FRONTAL, Faces.FRONTAL_PROFILE), validator=each(member_of(Faces))
    )
    fold_count: int = attrs.field(default=10, validator=at_least(2))
    fold_pairs: int = attrs.field(default=350, validator=at_least(1))

    @property
    def name(self) -> str:
        return "cfp"

    @property
    def title(self) -> str:
        return "CFP"

    def read(self) -> dict[str, PairSet]:
        parts = {faces.value: read_cfp(self.images, faces, self.protocol) for faces in self.faces}
        for pairs in parts.values():
            expect_folds(self, pairs, self.fold_count, self.fold_pairs)
        return parts


@attrs.frozen(eq=False)
class _Numbered:
    """A numbered list: the index in the set's pictures of each number."""

    path: Path
    indices: dict[int, int]


def read_cfp(images: Path, faces: Faces, protocol: Path | None = None) -> PairSet:
    """Read the pairs of CFP below `images`, frontal with frontal or with profile.

    `protocol` is the folder of the lists, by default `images/Protocol`. Raises `DataError` if
    lists are incomplete or inconsistent.
    """
    tree = Tree(images)
    root = protocol or images / "Protocol"
    folder, *lists = _SIDES[faces]
    pictures: list[FaceImage] = []
    people: list[str] = []
    numbered = {
        name: _numbered(tree, root / name.value, pictures, people) for name in dict.fromkeys(lists)
    }
    split = root / "Split" / folder
    first, second = (numbered[name] for name in lists)
    rows: list[tuple[int, int, bool, int]] = []
    folds = _folds(split)
    for fold, path in enumerate(folds):
        for file, same in (("same.txt", True), ("diff.txt", False)):
            pairs = _pairs(path / file, first, second)
            rows += [(one, other, same, fold) for one, other in pairs]
    _check_counts(split, rows, len(folds))
    _check_people(split, rows, people)
    codes = {person: code for code, person in enumerate(dict.fromkeys(people))}
    a, b, kind, fold_of = (np.array(column) for column in zip(*rows, strict=True))
    count = len(rows) // (2 * len(folds))
    return PairSet(
        pictures=pictures, first=a, second=b, same=kind, fold=fold_of,
        person=np.array([codes[person] for person in people], np.int64),
        version=f"{folder}, {len(folds)} folds of {count} + {count} pairs",
    )  # fmt: skip


def _numbered(tree: Tree, path: Path, pictures: list[FaceImage], people: list[str]) -> _Numbered:
    """Read a list; its pictures are added to `pictures`, and their people to `people`."""
    indices: dict[int, int] = {}
    for number, line in enumerate(read_lines(path, "a numbered list of CFP", "protocol"), start=1):
        if not line.strip():
            continue
        location = f"{path}:{number}"
        key, _, listed = line.strip().partition(" ")
        if not key.isdecimal() or not listed.strip():
            raise DataError(f"{location}: expected `number path`, got {line.strip()!r}")
        if int(key) in indices:
            raise DataError(f"{location}: the number {key} is listed twice")
        relative = inside(tree.root, listed, location, start="Protocol")
        file = tree.find(relative)
        indices[int(key)] = len(pictures)
        pictures.append(
            FaceImage(name=str(relative), source=file, fault="" if file else "is missing")
        )
        people.append(_person(relative, location))
    return _Numbered(path, indices)


def _person(relative: PurePosixPath, location: str) -> str:
    """Return the folder two above a picture: ``Data/Images/001/frontal/01.jpg``."""
    if len(relative.parts) < 3:
        raise DataError(
            f"{location}: expected a path as `../Data/Images/001/frontal/01.jpg`, got {relative}"
        )
    return relative.parts[-3]


def _folds(split: Path) -> list[Path]:
    """Return the folders of the folds, numbered without a gap."""
    try:
        folders = [path for path in split.iterdir() if path.is_dir() and path.name.isdecimal()]
    except OSError as cause:
        raise DataError(
            f"{split}: cannot be read ({cause.strerror or cause}); expected a folder for each fold "
            f"in it. Correct the option `protocol`"
        ) from cause
    folders.sort(key=lambda folder: int(folder.name))
    numbers = [int(folder.name) for folder in folders]
    if len(folders) < 2 or numbers != list(range(1, len(folders) + 1)):
        raise DataError(
            f"{split}: expected folders 01, 02, ... for two folds or more, got "
            f"{', '.join(folder.name for folder in folders) or 'none'}"
        )
    return folders


def _pairs(path: Path, first: _Numbered, second: _Numbered) -> list[tuple[int, int]]:
    pairs = []
    for number, line in enumerate(read_lines(path, "pairs of numbers", "protocol"), start=1):
        if not line.strip():
            continue
        words = re.split(r"[\s,]+", line.strip())
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            raise DataError(f"{path}:{number}: expected two numbers, `3,7`; got {line.strip()!r}")
        for word, side in zip(words, (first, second), strict=True):
            if int(word) not in side.indices:
                raise DataError(
                    f"{path}:{number}: the number {word} is not in {side.path.name}, which has "
                    f"{len(side.indices)}"
                )
        pairs.append((first.indices[int(words[0])], second.indices[int(words[1])]))
    return pairs


def _check_counts(split: Path, rows: list[tuple[int, int, bool, int]], folds: int) -> None:
    for fold in range(folds):
        counts = {
            same: sum(1 for r in rows if r[2] is same and r[3] == fold) for same in (True, False)
        }
        expected = sum(1 for r in rows if r[2] and r[3] == 0)
        if counts != {True: expected, False: expected} or expected == 0:
            raise DataError(
                f"{split / f'{fold + 1:02d}'}: expected as many pairs in same.txt and diff.txt as "
                f"in those of the first fold ({expected}), got {counts[True]} and "
                f"{counts[False]}. The lists are incomplete"
            )


def _check_people(split: Path, rows: list[tuple[int, int, bool, int]], people: list[str]) -> None:
    """Check that pairs of same.txt are of one person, and those of diff.txt of two."""
    for one, other, same, fold in rows:
        if (people[one] == people[other]) is not same:
            raise DataError(
                f"{split / f'{fold + 1:02d}'}: a pair of {'same' if same else 'diff'}.txt is of "
                f"the person {people[one]!r} and of {people[other]!r}; the numbered list "
                f"belongs to other pairs"
            )
