"""Cityscapes as the authors of MTAN prepared it: classes and inverse depth as arrays.

Paper: Marius Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR
2016; prepared for Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning
with Attention", CVPR 2019.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import attrs

from mtlkit.data import ClassMapTarget, Data, Loading, RealMapTarget
from mtlkit.plugins import DataError, one_of
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.maps import ArrayFolder, class_codes, numbered_split, numbers
from mtlkit_benchmarks.trees.source import WithoutValidation

CATEGORIES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
SAMPLES = {"train": 2975, "test": 500}
FOLDERS = {"train": "train", "test": "val"}


@attrs.frozen(kw_only=True)
class Cityscapes(WithoutValidation):
    """Street images with the labels `classes` and `disparity` of each pixel.

    `folder` has ``{train,val}/{image,label_7,depth}/NUMBER.npy``, in which `val` are the 500 images
    for testing; a folder called ``label`` in place of ``label_7`` is read, too. `classes` are 2, 7
    or 19. A class of -1 and a depth of 0 are missing. The numbers in ``depth`` are inverse depths,
    so a zoom multiplies them. `quantity` of ``depth`` divides them instead, as the published
    augmentation does.
    """

    folder: Path = Path("cityscapes")
    classes: Literal[2, 7, 19] = 7
    quantity: str = attrs.field(default="disparity", validator=one_of("disparity", "depth"))

    def layout(self) -> Layout:
        label = f"label_{self.classes}/*.npy"
        parts = []
        for split, count in SAMPLES.items():
            name = FOLDERS[split]
            parts += [TreePart(f"{name}/{kind}/*.npy", count=count) for kind in ("image", "depth")]
            parts.append(TreePart(f"{name}/{label}", (f"{name}/label/*.npy",), count))
        page = 'the section "Datasets" of the README of lorenmt/mtan on GitHub'
        return Layout("Cityscapes as prepared for MTAN", page, tuple(parts))

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        names = CATEGORIES if self.classes == 7 else tuple(map(str, range(self.classes)))
        depth = ArrayFolder(
            "depth", RealMapTarget(quantity=self.quantity), partial(numbers, void=(0,))
        )
        splits = {}
        for split, name in FOLDERS.items():
            codes = ArrayFolder(
                _labels(folder / name, self.classes),
                ClassMapTarget(names=names),
                partial(class_codes, classes=self.classes),
            )
            labels = {"classes": codes, "disparity": depth}
            splits[split] = numbered_split(folder / name, split, labels, loading)
        return Data(train=splits["train"], test=splits["test"], mean=0.0, std=1.0)


def _labels(folder: Path, classes: int) -> str:
    folders = [name for name in (f"label_{classes}", "label") if (folder / name).is_dir()]
    if len(folders) != 1:
        raise DataError(
            f"{folder}: got the folders {' and '.join(folders) or 'of no labels'}, expected one of "
            f"label_{classes} and label"
        )
    return folders[0]
