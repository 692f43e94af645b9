"""Faces in a RecordIO file as a data source."""

from pathlib import Path

import attrs

from mtlkit.data import Data, Loading
from mtlkit.plugins import DataError
from mtlkit_face.data.image_source import FaceImageSource, load_listing
from mtlkit_face.data.input_files import locate
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.recordio_faces import Progress, open_record_faces


@attrs.frozen(kw_only=True)
class FaceRecords(FaceImageSource):
    """Faces in a RecordIO file (``.rec``), as insightface and MXNet's ``im2rec`` pack them.

    Neither MXNet nor unpickling is needed. The index ``.idx`` beside it is used where there is one;
    a file ``property`` is held against the labels. In a table of `labels`, the column `file` is the
    key of a record.

    >>> FaceRecords(file=Path("faces_webface_112x112/train.rec"), size=112, channels=3).mirror
    False
    """

    file: Path

    def load(self, loading: Loading) -> Data:
        path = locate(self.file, (loading.base, Path()), "file")
        return load_listing(self, list_records(path, loading.progress), path, loading)


def list_records(path: Path, progress: Progress) -> FaceListing:
    """The images of the RecordIO file at `path`, by their keys."""
    faces = open_record_faces(path, progress)
    if not len(faces):
        raise DataError(f"{path}: holds no image")
    return FaceListing(faces, [*map(str, faces.keys)], [*map(str, faces.subjects)])
