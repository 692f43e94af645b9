"""Data source of faces in a RecordIO file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from mtlkit.data import Data, Loading
from mtlkit.plugins import DataError
from mtlkit_face.data.image_source import FaceImageSource, load_listing
from mtlkit_face.data.input_files import locate
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.recordio.container import Offsets
from mtlkit_face.data.recordio.faces import Progress, open_record_faces


@attrs.frozen(kw_only=True)
class FaceRecords(FaceImageSource):
    """Faces in a RecordIO file (``.rec``), as packed by insightface and MXNet's ``im2rec``.

    The file is read without MXNet and without unpickling. The index ``.idx`` in its folder is used
    if it exists, and labels are checked against a file ``property``. In a table of `labels`, the
    column `file` is the key of a record.

    >>> FaceRecords(file=Path("faces_webface_112x112/train.rec"), size=112, channels=3).mirror
    False
    """

    file: Path

    def load(self, loading: Loading) -> Data:
        path = locate(self.file, (loading.base, Path()), "file")
        return load_listing(self, list_records(path, loading.progress), path, loading)


@attrs.frozen(eq=False)
class KeyTexts(Sequence[str]):
    """Keys of records as text, which is made on access.

    >>> KeyTexts(range(3, 5))[1]
    '4'
    """

    keys: Sequence[int] | Offsets

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return KeyTexts(self.keys[position])
        return str(self.keys[position])


def list_records(path: Path, progress: Progress) -> FaceListing:
    """List the images of the RecordIO file at `path` by their keys."""
    faces, subjects = open_record_faces(path, progress)
    if not len(faces):
        raise DataError(f"{path}: contains no image")
    numbers, codes = np.unique(subjects, return_inverse=True)
    names = tuple(map(str, numbers.tolist()))
    return FaceListing(faces, KeyTexts(faces.keys), codes.astype(np.int32), names)
