"""PASCAL-Context in the layout of ASTMT: classes, human parts, normals, saliency and edges.

Paper: Kevis-Kokitsi Maninis, Ilija Radosavovic and Iasonas Kokkinos, "Attentive Single-Tasking of
Multiple Tasks", CVPR 2019; the images and classes are those of Roozbeh Mottaghi et al., "The Role
of Context for Object Detection and Semantic Segmentation in the Wild", CVPR 2014.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit.data import (
    ClassMapTarget,
    Data,
    Frame,
    Labels,
    Loading,
    Split,
    Target,
    UnitVectorMapTarget,
    threads,
)
from mtlkit.plugins import MISSING, DataError, at_least
from mtlkit_benchmarks.thinning import thinned
from mtlkit_benchmarks.trees.files import (
    existing,
    first_file,
    image_rows,
    read_codes,
    read_lines,
    read_mat,
    variable,
)
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.maps import Array, class_codes, normalized, resized, unit_vectors
from mtlkit_benchmarks.trees.on_access import OnAccess
from mtlkit_benchmarks.trees.source import WithoutValidation

CLASSES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
           "chair", "cow", "table", "dog", "horse", "motorbike", "person", "plant", "sheep", "sofa",
           "train", "tv")  # fmt: skip
PERSON = 15
PARTS = ("background", "head", "torso", "upper arm", "lower arm", "upper leg", "lower leg")
PART_OF = {
    **dict.fromkeys(("head", "leye", "reye", "lear", "rear", "lebrow", "rebrow", "nose", "mouth",
                     "hair"), 1),
    **dict.fromkeys(("torso", "neck"), 2),
    **dict.fromkeys(("luarm", "ruarm"), 3),
    **dict.fromkeys(("llarm", "rlarm", "lhand", "rhand"), 4),
    **dict.fromkeys(("luleg", "ruleg"), 5),
    **dict.fromkeys(("llleg", "rlleg", "lfoot", "rfoot"), 6),
}  # fmt: skip
"""Code of each named part of a person, in `PARTS`."""

SAMPLES = {"train": 4998, "test": 5105}
FOLDERS = {"train": "train", "test": "val"}


@attrs.frozen(kw_only=True)
class PascalContext(WithoutValidation):
    """Images with the labels `classes`, `parts`, `normals`, `saliency` and `edges` of each pixel.

    `folder` is ``PASCAL_MT``: ``JPEGImages``, ``semseg/VOC12`` (for an image that it lacks
    ``semseg/pascal-context``), ``human_parts``, ``normals_distill``, ``sal_distill``,
    ``pascal-context/trainval`` and ``ImageSets/Context/{train,val}.txt``; `val` is for testing. All
    images are stretched to `size` pixels a side and labels resized by the nearest pixel.

    Images without people have no label of parts. Normals are kept at the codes `normal_classes` of
    the 459 classes in ``LabelMap``, by default at all; the published ones keep those that NYU has,
    too. Edges are the thinned changes of the class. The extra ``official`` is needed.
    """

    folder: Path = Path("PASCAL_MT")
    size: int = attrs.field(default=512, validator=at_least(1))
    normal_classes: tuple[int, ...] = ()

    def layout(self) -> Layout:
        total = sum(SAMPLES.values())
        names = ("pascal-context/trainval/*.mat", "human_parts/*.mat", "normals_distill/*.png",
                 "sal_distill/*.png")  # fmt: skip
        parts = (
            TreePart("JPEGImages/*.jpg"),
            *(TreePart(name) for name in names),
            TreePart("semseg/VOC12/*.png"),
            TreePart("semseg/pascal-context/*.png"),
            *(TreePart(f"ImageSets/Context/{name}.txt", count=1) for name in FOLDERS.values()),
        )
        title = f"PASCAL-Context in the layout of ASTMT, {total:,} images"
        return Layout(title, "the README of facebookresearch/astmt on GitHub (PASCAL_MT)", parts)

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        splits = {split: self._split(folder, split, loading) for split in FOLDERS}
        return Data(train=splits["train"], test=splits["test"])

    def _split(self, folder: Path, split: str, loading: Loading) -> Split:
        names = read_lines(folder / "ImageSets" / "Context" / f"{FOLDERS[split]}.txt")
        images = existing([folder / "JPEGImages" / f"{name}.jpg" for name in names])
        size = (self.size, self.size)
        readers: Mapping[str, tuple[Target, Callable[[str], Tensor]]] = {
            "classes": (ClassMapTarget(names=CLASSES), partial(_classes, folder)),
            "parts": (ClassMapTarget(names=PARTS), partial(_parts, folder)),
            "normals": (UnitVectorMapTarget(), partial(_normals, folder, self.normal_classes)),
            "saliency": (
                ClassMapTarget(names=("background", "salient")),
                partial(_salient, folder),
            ),
            "edges": (ClassMapTarget(names=("inside", "edge")), partial(_edges, folder)),
        }
        columns = {
            label: Labels(target, OnAccess(names, partial(_sized, read, size), threads(loading)))
            for label, (target, read) in readers.items()
        }
        rows = image_rows(images, Frame(*size, 3, "bilinear"), loading)
        return Split(inputs=rows, columns=columns, ids=[f"{split}/{name}" for name in names])


def _sized(read: Callable[[str], Tensor], size: tuple[int, int], name: str) -> Tensor:
    return resized(read(name), size)


def _classes(folder: Path, name: str) -> Tensor:
    semseg = folder / "semseg"
    path = first_file(semseg, f"VOC12/{name}.png", f"pascal-context/{name}.png")
    return _named(path, partial(class_codes, classes=len(CLASSES), void=(255,)))


def _parts(folder: Path, name: str) -> Tensor:
    path = folder / "human_parts" / f"{name}.mat"
    (annotation,) = structs(variable(path, read_mat(path), "anno"))
    objects = structs(annotation["objects"])
    people = [one for one in objects if int(one["class_ind"].item()) == PERSON]
    codes = torch.zeros(objects[0]["mask"].shape, dtype=torch.int64)
    if not people:
        return codes.fill_(MISSING)
    for part in (part for one in people for part in structs(one["parts"])):
        title = str(part["part_name"].item())
        if title not in PART_OF:
            raise DataError(f"{path}: got the part {title!r}, expected one of {', '.join(PART_OF)}")
        codes[torch.from_numpy(part["mask"] > 0)] = PART_OF[title]
    return codes


def structs(value: Array) -> list[Mapping[str, Array]]:
    """Return the structs of an array of MATLAB, or of a cell of them, by the names of fields."""
    if value.dtype == object:
        return [struct for cell in value.reshape(-1) for struct in structs(cell)]
    return [
        {name: np.asarray(one[name]) for name in value.dtype.names or ()}
        for one in value.reshape(-1)
    ]


def _normals(folder: Path, kept: Sequence[int], name: str) -> Tensor:
    vectors = _named(folder / "normals_distill" / f"{name}.png", unit_vectors) / 255 * 2 - 1
    if kept:
        inside = torch.isin(_label_map(folder, name), torch.tensor(kept))
        vectors = torch.where(inside, vectors, 0.0)
    return normalized(vectors)


def _salient(folder: Path, name: str) -> Tensor:
    values = read_codes(folder / "sal_distill" / f"{name}.png")
    return torch.from_numpy((values / 255 > 0.5).astype(np.int64))


def _edges(folder: Path, name: str) -> Tensor:
    return thinned(class_changes(_label_map(folder, name)).unsqueeze(0))[0].long()


def class_changes(codes: Tensor) -> Tensor:
    """Return where the Laplacian of a map (H, W) of codes is not 0, its border continued."""
    values = codes.double()
    rows = torch.cat([values[:1], values, values[-1:]])
    columns = torch.cat([values[:, :1], values, values[:, -1:]], dim=1)
    around = rows[:-2] + rows[2:] + columns[:, :-2] + columns[:, 2:]
    return around != 4 * values


def _label_map(folder: Path, name: str) -> Tensor:
    path = folder / "pascal-context" / "trainval" / f"{name}.mat"
    values = variable(path, read_mat(path), "LabelMap")
    return torch.from_numpy(values.astype(np.int64))


def _named(path: Path, convert: Callable[..., Tensor]) -> Tensor:
    values = read_codes(path)
    try:
        return convert(values)
    except DataError as cause:
        raise DataError(f"{path}: {cause}") from cause
