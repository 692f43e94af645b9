"""From the rows of IJB-A to pictures: which file shows the face of a row, and what part of it."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from mtlkit_face.protocols.listed_files import Tree, inside
from mtlkit_face.protocols.pictures import Box, FaceImage
from mtlkit_face.protocols.templates.ijb_a_tables import Sighting

ALIASES = {"img": "images", "frame": "frames", "frames": "frame", "images": "img"}
"""The tables say `img` and `frame`; on the disk the folders are often called otherwise."""


class Sightings:
    """The pictures of all rows, each face once; `place` says where in `pictures` a row's is."""

    def __init__(self, rows: Iterable[Sighting], tree: Tree, margin: float | None) -> None:
        self.pictures: list[FaceImage] = []
        self._places: dict[tuple[str, str], int] = {}
        rows = list(rows)
        faces = defaultdict(set)
        for row in rows:
            faces[row.file].add(_face(row))
        for row in rows:
            key = (row.file, _face(row))
            if key in self._places:
                continue
            relative = inside(tree.root, row.file, row.place)
            self._places[key] = len(self.pictures)
            shared = len(faces[row.file]) > 1
            self.pictures.append(
                _aligned(tree, relative, row, shared)
                if margin is None
                else _boxed(tree, relative, row, margin)
            )

    def place(self, row: Sighting) -> int:
        """Where the picture of `row` is."""
        return self._places[row.file, _face(row)]


def _face(row: Sighting) -> str:
    """What tells the faces in a file apart: the sighting, or else the subject."""
    return row.sighting or f"subject {row.subject}"


def _boxed(tree: Tree, relative: PurePosixPath, row: Sighting, margin: float) -> FaceImage:
    name = _named(relative, row)
    found = tree.find(relative)
    if found is None:
        return FaceImage(name=name, source=None, fault="is missing")
    if row.box is None:
        return FaceImage(name=name, source=None, fault="has an empty face box", faceless=True)
    left, top, width, height = row.box
    box = Box(left=left, top=top, width=width, height=height, margin=margin)
    return FaceImage(name=name, source=found, box=box)


def _aligned(tree: Tree, relative: PurePosixPath, row: Sighting, shared: bool) -> FaceImage:
    """The face's own file; or the picture's, where it shows one face only."""
    own = relative.with_name(f"{relative.stem}_{row.sighting}{relative.suffix}")
    name = _named(relative, row)
    found = tree.find(own) if row.sighting else None
    if found is None and not shared:
        found = tree.find(relative)
    if found is not None:
        return FaceImage(name=name, source=found)
    if row.box is None:
        return FaceImage(name=name, source=None, fault="has no aligned face, nor a face box",
                       faceless=True)  # fmt: skip
    why = f"is missing (several people are in it: expected {own})" if shared else "is missing"
    return FaceImage(name=name, source=None, fault=why)


def _named(relative: PurePosixPath, row: Sighting) -> str:
    return f"{relative}, {'sighting ' if row.sighting else ''}{_face(row)}"
