"""NYUv2 as the authors of MTAN prepared it: 13 classes, depth and normals as arrays.

Paper: Nathan Silberman, Derek Hoiem, Pushmeet Kohli and Rob Fergus, "Indoor Segmentation and
Support Inference from RGBD Images", ECCV 2012; prepared for Shikun Liu, Edward Johns and Andrew J.
Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import attrs

from mtlkit.data import ClassMapTarget, Data, Loading, RealMapTarget, UnitVectorMapTarget
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.maps import (
    ArrayFolder,
    class_codes,
    numbered_split,
    numbers,
    unit_vectors,
)
from mtlkit_benchmarks.trees.source import WithoutValidation

CLASSES = ("bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa",
           "table", "tv", "wall", "window")  # fmt: skip
SAMPLES = {"train": 795, "test": 654}
FOLDERS = {"train": "train", "test": "val"}


@attrs.frozen(kw_only=True)
class NYUv2(WithoutValidation):
    """Indoor images with the labels `classes`, `depth` in meters and `normals` of each pixel.

    `folder` has ``{train,val}/{image,label,depth,normal}/NUMBER.npy``, in which `val` are the 654
    official test images. Images (3, 288, 384) are numbers from 0 to 1 and are not normalized. A
    class of -1, a depth of 0 and a normal of zeros are missing.
    """

    folder: Path = Path("nyuv2")

    def layout(self) -> Layout:
        return Layout(
            title="NYUv2 as prepared for MTAN",
            page='the section "Datasets" of the README of lorenmt/mtan on GitHub',
            parts=tuple(
                TreePart(f"{FOLDERS[split]}/{name}/*.npy", count=count)
                for split, count in SAMPLES.items()
                for name in ("image", "label", "depth", "normal")
            ),
        )

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        labels = {
            "classes": ArrayFolder(
                "label", ClassMapTarget(names=CLASSES), partial(class_codes, classes=len(CLASSES))
            ),
            "depth": ArrayFolder(
                "depth", RealMapTarget(quantity="depth"), partial(numbers, void=(0,))
            ),
            "normals": ArrayFolder("normal", UnitVectorMapTarget(), unit_vectors),
        }
        splits = {
            split: numbered_split(folder / name, split, labels, loading)
            for split, name in FOLDERS.items()
        }
        return Data(train=splits["train"], test=splits["test"], mean=0.0, std=1.0)
