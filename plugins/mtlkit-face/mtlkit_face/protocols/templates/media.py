"""The picture of each row of IJB-A: its file, and its face box in it."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from mtlkit.data import BoxRegion
from mtlkit_face.protocols.listed_files import Tree, inside
from mtlkit_face.protocols.pictures import FaceImage
from mtlkit_face.protocols.templates.ijb_a_tables import Sighting

ALIASES = {"img": "images", "frame": "frames", "frames": "frame", "images": "img"}
"""Other names of the tables' folders `img` and `frame` that copies have."""


class Sightings:
    """The pictures of all rows, each face once; `index` returns that of a row in `pictures`."""

    def __init__(self, rows: Iterable[Sighting], tree: Tree, margin: float | None) -> None:
        self.pictures: list[FaceImage] = []
        self._indices: dict[tuple[str, str], int] = {}
        rows = list(rows)
        faces = defaultdict(set)
        for row in rows:
            faces[row.file].add(_face(row))
        for row in rows:
            key = (row.file, _face(row))
            if key in self._indices:
                continue
            relative = inside(tree.root, row.file, row.location)
            self._indices[key] = len(self.pictures)
            shared = len(faces[row.file]) > 1
            self.pictures.append(
                _aligned(tree, relative, row, shared)
                if margin is None
                else _boxed(tree, relative, row, margin)
            )

    def index(self, row: Sighting) -> int:
        """Return the index of the picture of `row`."""
        return self._indices[row.file, _face(row)]


def _face(row: Sighting) -> str:
    """Return the key of a face in its file: the sighting, or else the subject."""
    return row.sighting or f"subject {row.subject}"


def _boxed(tree: Tree, relative: PurePosixPath, row: Sighting, margin: float) -> FaceImage:
    name = _named(relative, row)
    file = tree.find(relative)
    if file is None:
        return FaceImage(name=name, source=None, fault="is missing")
    if row.box is None:
        return FaceImage(name=name, source=None, fault="has an empty face box", faceless=True)
    left, top, width, height = row.box
    box = BoxRegion(left, top, width, height, margin)
    return FaceImage(name=name, source=file, box=box)


def _aligned(tree: Tree, relative: PurePosixPath, row: Sighting, shared: bool) -> FaceImage:
    """Return the file of the aligned face, or the whole picture if it shows one face only."""
    aligned = relative.with_name(f"{relative.stem}_{row.sighting}{relative.suffix}")
    name = _named(relative, row)
    file = tree.find(aligned) if row.sighting else None
    if file is None and not shared:
        file = tree.find(relative)
    if file is not None:
        return FaceImage(name=name, source=file)
    if row.box is None:
        return FaceImage(name=name, source=None, fault="has no aligned face, nor a face box",
                       faceless=True)  # fmt: skip
    hint = f" (the picture has several people; expected {aligned})" if shared else ""
    return FaceImage(name=name, source=None, fault=f"is missing{hint}")


def _named(relative: PurePosixPath, row: Sighting) -> str:
    return f"{relative}, {'sighting ' if row.sighting else ''}{_face(row)}"
