"""NYUv2 from the official MATLAB file: 13 or 40 classes and depth.

Paper: Nathan Silberman, Derek Hoiem, Pushmeet Kohli and Rob Fergus, "Indoor Segmentation and
Support Inference from RGBD Images", ECCV 2012; the 13 classes are those of Camille Couprie, Clement
Farabet, Laurent Najman and Yann LeCun, "Indoor Semantic Segmentation using Depth Information",
ICLR 2013.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data import ClassMapTarget, Data, Labels, Loading, RealMapTarget, Split
from mtlkit.plugins import DataError, one_of
from mtlkit_benchmarks.dense.nyuv2 import CLASSES, SAMPLES
from mtlkit_benchmarks.trees.files import optional, read_mat, readable, variable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.on_access import OnAccess
from mtlkit_benchmarks.trees.source import WithoutValidation

FILE, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
INDICES = {"train": "trainNdxs", "test": "testNdxs"}


@attrs.frozen(kw_only=True)
class NYUv2Raw(WithoutValidation):
    """Indoor images (3, 480, 640) in uint8 with the labels `classes` and `depth` in meters.

    `folder` has ``nyu_depth_v2_labeled.mat``, and ``splits.mat``, ``class13Mapping.mat`` and
    ``classMapping40.mat``. `classes` are 13 or 40; an unlabeled pixel is missing. `depth` is the
    official one with filled holes, or the ``raw`` one, in which a depth of 0 is missing. Images are
    read from the file on access. The extra ``official`` is needed.
    """

    folder: Path = Path("nyuv2")
    classes: Literal[13, 40] = 13
    depth: str = attrs.field(default="filled", validator=one_of("filled", "raw"))

    def layout(self) -> Layout:
        page = (
            "the page NYU Depth Dataset V2 of cs.nyu.edu and ankurhanda/nyuv2-meta-data on GitHub"
        )
        names = (FILE, SPLITS, "classMapping40.mat", "class13Mapping.mat")
        return Layout(
            "the labeled part of NYUv2", page, tuple(TreePart(name, count=1) for name in names)
        )

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        names, table = class_table(folder, self.classes)
        depths = "depths" if self.depth == "filled" else "rawDepths"
        readers = {
            "classes": partial(_codes, folder / FILE, table=table),
            "depth": partial(_depth, folder / FILE, name=depths),
        }
        targets = {
            "classes": ClassMapTarget(names=names),
            "depth": RealMapTarget(quantity="depth"),
        }
        count = _number_of_images(folder / FILE)
        splits = {}
        for split, positions in split_positions(folder / SPLITS, count).items():
            splits[split] = Split(
                inputs=OnAccess(positions, partial(_image, folder / FILE)),
                columns={
                    label: Labels(targets[label], OnAccess(positions, read))
                    for label, read in readers.items()
                },
                ids=[f"{split}/{position + 1}" for position in positions],
            )
        return Data(train=splits["train"], test=splits["test"])


def split_positions(path: Path, count: int) -> dict[str, list[int]]:
    """Return the positions of each split, from 0, of `count` images; the file counts from 1."""
    variables = read_mat(path)
    positions = {
        split: [int(number) - 1 for number in variable(path, variables, name).reshape(-1)]
        for split, name in INDICES.items()
    }
    every = [position for part in positions.values() for position in part]
    if sorted(every) != list(range(count)):
        raise DataError(
            f"{path}: got {len(every)} numbers from {min(every) + 1} to {max(every) + 1}, expected "
            f"each of 1 to {count} once"
        )
    return positions


def class_table(folder: Path, classes: int) -> tuple[tuple[str, ...], Tensor]:
    """Return the names of the 13 or 40 classes, and the class of each of the 894 names from 1.

    The entry 0, of unlabeled pixels, is -1, as for names without a class.
    """
    path = folder / "classMapping40.mat"
    variables = read_mat(path)
    to_40 = torch.tensor([0, *variable(path, variables, "mapClass").reshape(-1).tolist()])
    if classes == 40:
        names = [
            str(name.reshape(-1)[0]) for name in variable(path, variables, "className").reshape(-1)
        ]
        return tuple(names), to_40 - 1
    path = folder / "class13Mapping.mat"
    mapping = variable(path, read_mat(path), "classMapping13").reshape(-1)[0]
    to_13 = torch.tensor([0, *np.asarray(mapping["labels13"]).reshape(-1).tolist()])
    return CLASSES, to_13[to_40] - 1


def _array(path: Path, name: str, position: int) -> NDArray[Any]:
    """Return one image of a variable with its axes in the order (C, H, W)."""
    with readable(path, f"; expected the array {name!r}"), optional("h5py").File(path) as file:
        values = np.asarray(file[name][position])
    return values.swapaxes(-1, -2)  # MATLAB stores columns first


def _number_of_images(path: Path) -> int:
    with readable(path, "; expected a file of MATLAB 7.3"), optional("h5py").File(path) as file:
        return len(file["images"])


def _image(path: Path, position: int) -> Tensor:
    return torch.from_numpy(_array(path, "images", position).copy())


def _codes(path: Path, position: int, *, table: Tensor) -> Tensor:
    values = torch.from_numpy(_array(path, "labels", position).astype(np.int64))
    if int(values.max()) >= len(table):
        raise DataError(
            f"{path}: image {position + 1}: got the label {int(values.max())}, expected 0 to "
            f"{len(table) - 1}"
        )
    return table[values]


def _depth(path: Path, position: int, *, name: str) -> Tensor:
    values = torch.from_numpy(_array(path, name, position).astype(np.float32))
    return torch.where(values == 0, torch.nan, values).unsqueeze(0)
