"""Storage of the templates of many pictures in a temporary file, each picture embedded once."""

import tempfile
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pictures import FaceImage

CHUNK = 1024
"""Pictures whose templates are in memory at a time."""

Rows = npt.NDArray[np.float32]


@attrs.frozen(eq=False)
class TemplateStore:
    """Templates of N pictures in a file of rows; `valid` (N,) is false for failed pictures.

    `row` (N,) is the row of each picture: pictures of one source and box share a row.
    """

    file: IO[bytes]
    width: int
    row: npt.NDArray[np.int64]
    valid: Bools

    def __getitem__(self, positions: Sequence[int] | npt.NDArray[np.integer]) -> Rows:
        """Return the templates (B, K) of the pictures at `positions` (B,), NaN for failed ones.

        The file is mapped for this call only, so that its pages do not stay in memory.
        """
        index = np.asarray(positions, np.int64)
        rows = np.full((len(index), self.width), np.nan, np.float32)
        valid = self.valid[index]
        if valid.any():
            shape = (int(self.row.max()) + 1, self.width)
            rows[valid] = np.memmap(self.file, np.float32, "r", shape=shape)[self.row[index[valid]]]
        return rows


@contextmanager
def store_templates(
    pictures: Sequence[FaceImage], embedder: ImageEmbedder
) -> Iterator[TemplateStore]:
    """Embed each source and box of `pictures` once, in chunks, and yield their templates.

    Raises `DataError` for failures that do not count.
    """
    rows: dict[Hashable, int] = {}
    row = np.array([rows.setdefault(_key(p), len(rows)) for p in pictures], np.int64)
    unique = [pictures[i] for i in np.unique(row, return_index=True)[1]]
    embedder.expect(len(unique))
    valid = np.zeros(len(unique), bool)
    width = 1
    with tempfile.TemporaryFile() as file:
        for start in range(0, len(unique), CHUNK):
            templates = embedder.templates(unique[start : start + CHUNK]).rows.numpy()
            finite = np.isfinite(templates).all(axis=1)
            if finite.any():
                width = templates.shape[1]
                file.seek(4 * width * start)
                file.write(np.ascontiguousarray(templates, np.float32).tobytes())
            valid[start : start + len(templates)] = finite
        file.truncate(4 * width * len(unique))  # the last chunk may have failed
        file.flush()
        for picture, index in zip(pictures, row.tolist(), strict=True):
            if not valid[index]:
                embedder.failed[picture.name] = embedder.failed[unique[index].name]
        yield TemplateStore(file, width, row, valid[row])


def _key(picture: FaceImage) -> Hashable:
    """Return what determines a picture's template: its source and box, or its fault's name."""
    if picture.source is None:
        return picture.name, picture.fault
    return picture.source, picture.box
