"""The pictures of a Multi-PIE tree, in the order of their labels."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.plugins import DataError
from mtlkit_face.data.listing import files_of
from mtlkit_face.data.multi_pie.names import CAMERAS, EXPRESSIONS, RECORDED, parse_name
from mtlkit_face.data.multi_pie.settings import MultiPieSetting

Ints = npt.NDArray[np.int16]
Index = npt.NDArray[np.intp]

CAMERA_NUMBERS = tuple(CAMERAS)
_YAW = np.array([*CAMERAS.values()], np.int16)
_EXPRESSION = np.array(
    [
        [EXPRESSIONS.index(name) for name in names] + [-1] * (3 - len(names))
        for names in RECORDED.values()
    ],
    np.int16,
)


@attrs.frozen(eq=False)
class Pictures:
    """What N pictures show, by subject, session, recording, camera and light.

    `camera` is the place in `CAMERAS`.
    """

    subject: Ints
    session: Ints
    recording: Ints
    camera: Ints
    light: Ints

    def __len__(self) -> int:
        return len(self.subject)

    @classmethod
    def of(cls, table: npt.ArrayLike) -> "Pictures":
        """The pictures of a table (N, 5)."""
        columns = np.asarray(table, np.int16).reshape(-1, 5).T
        return cls(*(np.ascontiguousarray(column) for column in columns))

    def take(self, index: Index) -> "Pictures":
        """The pictures at `index`, in its order."""
        return Pictures(*(column[index] for column in attrs.astuple(self, recurse=False)))

    @property
    def yaw(self) -> Ints:
        """In degrees (N,)."""
        return np.asarray(_YAW[self.camera])

    @property
    def expression(self) -> Ints:
        """Places in `EXPRESSIONS` (N,)."""
        return np.asarray(_EXPRESSION[self.session - 1, self.recording - 1])

    def gallery_like(self, neutral_light: int) -> npt.NDArray[np.bool_]:
        """Which pictures (N,) are frontal and neutral, in expression and light."""
        neutral = (self.expression == 0) & (self.light == neutral_light)
        return np.asarray(neutral & (self.yaw == 0))

    def chosen(self, setting: MultiPieSetting, neutral_light: int) -> Index:
        """The positions of those that `setting` takes."""
        cameras = [CAMERA_NUMBERS.index(camera) for camera in setting.cameras]
        good = np.isin(self.session, setting.sessions) & np.isin(self.camera, cameras)
        if not setting.every_light:
            good &= self.light == neutral_light
        if not setting.every_expression:
            good &= self.expression == 0
        return np.flatnonzero(good)


def read_tree(folder: Path) -> tuple[Pictures, Sequence[str], Sequence[str]]:
    """The pictures below `folder` in the order of what they show, their names, and other files.

    Raises `DataError` where names say what Multi-PIE has not, or two files show one picture.
    """
    return sort_out(folder, files_of(folder))


def sort_out(folder: Path, names: Iterable[str]) -> tuple[Pictures, Sequence[str], Sequence[str]]:
    """`read_tree` of the files called `names`."""
    rows: list[tuple[int, int, int, int, int]] = []
    files: list[str] = []
    other: list[str] = []
    for name in names:
        try:
            shown = parse_name(PurePosixPath(name).name)
        except ValueError as cause:
            raise DataError(
                f"{folder / name}: its name says {cause}. Correct the name, or move the file away"
            ) from cause
        if shown is None:
            other.append(name)
            continue
        camera = CAMERA_NUMBERS.index(shown.camera)
        rows.append((shown.subject, shown.session, shown.recording, camera, shown.light))
        files.append(name)
    if not rows:
        raise DataError(
            f"{folder}: no file is named as a picture of Multi-PIE is, such as "
            f"session01/multiview/001/01/05_1/001_01_01_051_07.png"
        )
    table = np.array(rows, np.int16)
    order = np.lexsort(table.T[::-1])
    table = table[order]
    same = np.flatnonzero((table[1:] == table[:-1]).all(axis=1))
    if len(same):
        one, two = files[order[same[0]]], files[order[same[0] + 1]]
        raise DataError(
            f"{folder}: pictures that are there twice: {len(same)}, such as {one} and {two}; keep "
            f"one of the two"
        )
    return Pictures.of(table), [files[place] for place in order], sorted(other)
