"""List the pictures of a Multi-PIE tree, sorted by label."""

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
class PictureTable:
    """Subject, session, recording, camera and light of N pictures.

    `camera` is the index into `CAMERAS`.
    """

    subject: Ints
    session: Ints
    recording: Ints
    camera: Ints
    light: Ints

    def __len__(self) -> int:
        return len(self.subject)

    @classmethod
    def of(cls, table: npt.ArrayLike) -> "PictureTable":
        """Return the pictures of a table (N, 5)."""
        columns = np.asarray(table, np.int16).reshape(-1, 5).T
        return cls(*(np.ascontiguousarray(column) for column in columns))

    def take(self, index: Index) -> "PictureTable":
        """Return the pictures at `index`, in its order."""
        return PictureTable(*(column[index] for column in attrs.astuple(self, recurse=False)))

    @property
    def yaw(self) -> Ints:
        """Yaw in degrees (N,)."""
        return np.asarray(_YAW[self.camera])

    @property
    def expression(self) -> Ints:
        """Indices (N,) into `EXPRESSIONS`."""
        return np.asarray(_EXPRESSION[self.session - 1, self.recording - 1])

    def is_gallery(self, neutral_light: int) -> npt.NDArray[np.bool_]:
        """Return a mask (N,) of the pictures of frontal pose, neutral expression and light."""
        neutral = (self.expression == 0) & (self.light == neutral_light)
        return np.asarray(neutral & (self.yaw == 0))

    def chosen(self, setting: MultiPieSetting, neutral_light: int) -> Index:
        """Return the positions of the pictures that `setting` selects."""
        cameras = [CAMERA_NUMBERS.index(camera) for camera in setting.cameras]
        mask = np.isin(self.session, setting.sessions) & np.isin(self.camera, cameras)
        if not setting.every_light:
            mask &= self.light == neutral_light
        if not setting.every_expression:
            mask &= self.expression == 0
        return np.flatnonzero(mask)


def read_tree(folder: Path) -> tuple[PictureTable, Sequence[str], Sequence[str]]:
    """Return the pictures below `folder` sorted by label, their file names, and other files.

    Raises `DataError` if a name is not valid in Multi-PIE, or if two files are the same picture.
    """
    return parse_tree(folder, files_of(folder))


def parse_tree(
    folder: Path, names: Iterable[str]
) -> tuple[PictureTable, Sequence[str], Sequence[str]]:
    """Return the result of `read_tree` for files with the given `names`."""
    rows: list[tuple[int, int, int, int, int]] = []
    files: list[str] = []
    other: list[str] = []
    for name in names:
        try:
            parsed = parse_name(PurePosixPath(name).name)
        except ValueError as cause:
            raise DataError(
                f"{folder / name}: got {cause}; correct the name, or move the file away"
            ) from cause
        if parsed is None:
            other.append(name)
            continue
        camera = CAMERA_NUMBERS.index(parsed.camera)
        rows.append((parsed.subject, parsed.session, parsed.recording, camera, parsed.light))
        files.append(name)
    if not rows:
        raise DataError(
            f"{folder}: contains no picture of Multi-PIE; expected files such as "
            f"session01/multiview/001/01/05_1/001_01_01_051_07.png"
        )
    table = np.array(rows, np.int16)
    order = np.lexsort(table.T[::-1])
    table = table[order]
    same = np.flatnonzero((table[1:] == table[:-1]).all(axis=1))
    if len(same):
        one, two = files[order[same[0]]], files[order[same[0] + 1]]
        raise DataError(
            f"{folder}: got {len(same)} duplicate pictures, such as {one} and {two}; keep one of "
            f"the two"
        )
    return PictureTable.of(table), [files[index] for index in order], sorted(other)
