"""Taskonomy: depth, normals, edges and keypoints of rooms.

Paper: Amir R. Zamir, Alexander Sax, William Shen, Leonidas Guibas, Jitendra Malik and Silvio
Savarese, "Taskonomy: Disentangling Task Transfer Learning", CVPR 2018.
"""

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs
from torch import Tensor

from mtlkit.data import (
    Data,
    Frame,
    Labels,
    Loading,
    RealMapTarget,
    Split,
    Target,
    UnitVectorMapTarget,
    threads,
)
from mtlkit.plugins import DataError, at_least, each, nonempty, one_of
from mtlkit_benchmarks.trees.files import existing, read_codes, read_image, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.maps import Array, normalized, numbers, resized, unit_vectors
from mtlkit_benchmarks.trees.on_access import OnAccess
from mtlkit_benchmarks.trees.source import OfficialTree

TABLE = "train_val_test_tiny.csv"
PARTS = {"train": "train", "validation": "val", "test": "test"}
BUILDINGS = {"train": 24, "validation": 5, "test": 5}


def meters(values: Array) -> Tensor:
    """Return depths (1, H, W) in meters of 16-bit values in 1/512 m; 65535 is missing."""
    return numbers(values, (65535,)) / 512


def fraction(values: Array) -> Tensor:
    """Return 16-bit values as numbers (1, H, W) from 0 to 1."""
    return numbers(values) / 65535


def directions(values: Array) -> Tensor:
    """Return unit vectors (3, H, W) of bytes around 127; a gray of 127 or 128 is missing."""
    return normalized((unit_vectors(values[..., :3]) - 127) / 127)


def curvatures(values: Array) -> Tensor:
    """Return the two principal curvatures (2, H, W) of bytes around 127, in units of 127."""
    return (numbers(values[..., :2]) - 127) / 127


DOMAINS: Mapping[str, tuple[Target, Callable[[Array], Tensor]]] = {
    "depth_zbuffer": (RealMapTarget(quantity="depth"), meters),
    "depth_euclidean": (RealMapTarget(quantity="depth"), meters),
    "normal": (UnitVectorMapTarget(), directions),
    "edge_texture": (RealMapTarget(), fraction),
    "edge_occlusion": (RealMapTarget(), fraction),
    "keypoints2d": (RealMapTarget(), fraction),
    "keypoints3d": (RealMapTarget(), fraction),
    "principal_curvature": (RealMapTarget(channels=2), curvatures),
}
"""Type of the labels of each domain, and the conversion of its files."""


@attrs.frozen(kw_only=True)
class Taskonomy(OfficialTree):
    """Rooms with a label for each of `domains`, such as ``depth_zbuffer`` in meters.

    `folder` has ``DOMAIN/BUILDING/point_P_view_V_domain_DOMAIN.png``, with the domain ``rgb``, and
    ``train_val_test_tiny.csv``, whose columns ``id``, ``train``, ``val`` and ``test`` have 1 for
    the split of a building. Images are resized to `size` pixels a side, and labels by the nearest
    pixel.
    """

    folder: Path = Path("taskonomy")
    domains: tuple[str, ...] = attrs.field(
        default=("depth_zbuffer", "normal", "edge_texture", "keypoints2d"),
        validator=nonempty(each(one_of(*DOMAINS))),
    )
    size: int = attrs.field(default=256, validator=at_least(1))

    def layout(self) -> Layout:
        files = (TreePart(f"{domain}/*/*_domain_*.png") for domain in ("rgb", *self.domains))
        page = "the downloads of taskonomy.stanford.edu and StanfordVL/taskonomy on GitHub"
        return Layout("Taskonomy, tiny", page, (TreePart(TABLE, count=1), *files))

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        buildings = split_buildings(folder / TABLE)
        if self.complete and {name: len(part) for name, part in buildings.items()} != BUILDINGS:
            counts = ", ".join(f"{len(part)} for {name}" for name, part in buildings.items())
            raise DataError(f"{folder / TABLE}: got {counts}, expected 24, 5 and 5 buildings")
        splits = {name: self._split(folder, part, loading) for name, part in buildings.items()}
        return Data(train=splits["train"], validation=splits["validation"], test=splits["test"])

    def _split(self, folder: Path, buildings: list[str], loading: Loading) -> Split:
        # one name for each view, because a path of every file of the tree takes too much memory
        views = [
            f"{building}/{path.name.removesuffix('_domain_rgb.png')}"
            for building in buildings
            for path in sorted((folder / "rgb" / building).glob("*_domain_rgb.png"))
        ]
        if not views:
            raise DataError(
                f"{folder / 'rgb'}: has no image of the buildings {', '.join(buildings)}"
            )
        columns = {}
        for domain in self.domains:
            for view in views:
                existing([_file(folder, domain, view)])
            target, _ = DOMAINS[domain]
            read = partial(_read, folder, domain, (self.size, self.size))
            columns[domain] = Labels(target, OnAccess(views, read, threads(loading)))
        frame = Frame(self.size, self.size, 3, "bilinear")
        images = OnAccess(views, partial(_image, folder, frame), threads(loading))
        return Split(inputs=images, columns=columns, ids=views)


def _file(folder: Path, domain: str, view: str) -> Path:
    return folder / domain / f"{view}_domain_{domain}.png"


def _image(folder: Path, frame: Frame, view: str) -> Tensor:
    return read_image(_file(folder, "rgb", view), frame)


def _read(folder: Path, domain: str, size: tuple[int, int], view: str) -> Tensor:
    path, (_, convert) = _file(folder, domain, view), DOMAINS[domain]
    values = read_codes(path)
    try:
        return resized(convert(values), size)
    except DataError as cause:
        raise DataError(f"{path}: {cause}") from cause


def split_buildings(path: Path) -> dict[str, list[str]]:
    """Return the buildings of each split; `DataError` if one is in two splits."""
    rows = list(csv.DictReader(read_lines(path)))
    missing = {"id", *PARTS.values()} - set(rows[0] if rows else ())
    if missing:
        raise DataError(
            f"{path}: has no column {sorted(missing)[0]!r}, expected id, train, val, test"
        )
    for row in rows:
        if sum(row[name] == "1" for name in PARTS.values()) > 1:
            raise DataError(f"{path}: the building {row['id']} is in two splits, expected one")
    return {part: [row["id"] for row in rows if row[name] == "1"] for part, name in PARTS.items()}
