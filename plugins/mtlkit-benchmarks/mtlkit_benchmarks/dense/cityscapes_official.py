"""Cityscapes from the official files: classes, offsets to the center of instances, disparity.

Paper: Marius Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR
2016. The three tasks are those of Alex Kendall, Yarin Gal and Roberto Cipolla, "Multi-Task Learning
Using Uncertainty to Weigh Losses for Scene Geometry and Semantics", CVPR 2018.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit.data import ClassMapTarget, Data, Frame, Labels, Loading, RealMapTarget, Split
from mtlkit.plugins import MISSING, DataError
from mtlkit_benchmarks.dense.cityscapes import FOLDERS, SAMPLES
from mtlkit_benchmarks.trees.files import existing, image_rows, read_codes
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.maps import Array, map_rows, resized
from mtlkit_benchmarks.trees.source import WithoutValidation

TRAIN_IDS = {7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
             19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
             24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train",
             32: "motorcycle", 33: "bicycle"}  # fmt: skip
"""Names of the 19 classes by their ids in the files; all other ids are not labels."""

FILES = {"classes": "gtFine/*/*/*_gtFine_labelIds.png",
         "offsets": "gtFine/*/*/*_gtFine_instanceIds.png",
         "disparity": "disparity/*/*/*_disparity.png"}  # fmt: skip


@attrs.frozen(kw_only=True)
class CityscapesOfficial(WithoutValidation):
    """Street images with the labels `classes`, `offsets` and `disparity` of each pixel.

    `folder` has ``leftImg8bit``, ``gtFine`` and ``disparity``, each with ``{train,val}/CITY``. The
    500 images of `val` are for testing, because the official test labels are not public. Images are
    resized to `size`, height and width, and labels by the nearest pixel.

    `classes` are the 19 that count. `offsets` (2, H, W) are the pixels down and right, at `size`,
    from a pixel of an instance to the mean of its pixels. `disparity` is in pixels of the original
    images; its code 0 is missing.
    """

    folder: Path = Path("cityscapes")
    size: tuple[int, int] = (256, 512)

    def layout(self) -> Layout:
        patterns = ("leftImg8bit/*/*/*_leftImg8bit.png", *FILES.values())
        parts = tuple(
            TreePart(pattern.replace("*", FOLDERS[split], 1), count=count)
            for split, count in SAMPLES.items()
            for pattern in patterns
        )
        packages = "leftImg8bit_trainvaltest, gtFine_trainvaltest and disparity_trainvaltest"
        return Layout("Cityscapes", f"the downloads of cityscapes-dataset.com ({packages})", parts)

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        splits = {split: self._split(folder, name, loading) for split, name in FOLDERS.items()}
        return Data(train=splits["train"], test=splits["test"])

    def _split(self, folder: Path, name: str, loading: Loading) -> Split:
        images = sorted((folder / "leftImg8bit" / name).glob("*/*_leftImg8bit.png"))
        converted = {
            "classes": (ClassMapTarget(names=tuple(TRAIN_IDS.values())), class_map),
            "offsets": (RealMapTarget(channels=2), instance_offsets),
            "disparity": (RealMapTarget(quantity="disparity"), disparity),
        }
        columns = {}
        for label, (target, convert) in converted.items():
            top, *_, ending = FILES[label].split("/")
            paths = existing([
                folder / top / name / image.parent.name
                / (image.name.removesuffix("leftImg8bit.png") + ending.removeprefix("*_"))
                for image in images
            ])  # fmt: skip
            sized = partial(convert, size=self.size)
            columns[label] = Labels(target, map_rows(paths, read_codes, sized, loading))
        ids = [f"{name}/{image.parent.name}/{image.stem}" for image in images]
        rows = image_rows(images, Frame(*self.size, 3, "bilinear"), loading)
        return Split(inputs=rows, columns=columns, ids=ids)


def class_map(values: Array, size: tuple[int, int]) -> Tensor:
    """Return the class (H, W) of each pixel from the ids of the files, -1 to 33."""
    table = torch.full((256,), MISSING)
    table[list(TRAIN_IDS)] = torch.arange(len(TRAIN_IDS))
    return resized(table[torch.from_numpy(values.astype(np.int64)) % 256], size)


def instance_offsets(values: Array, size: tuple[int, int]) -> Tensor:
    """Return the offsets (2, H, W), y and x, of pixels to the mean of their instance, else NaN.

    An instance has the value class * 1000 + number; smaller values are not instances.
    """
    instances = resized(torch.from_numpy(values.astype(np.int64)), size)
    places = torch.stack(torch.meshgrid(*map(torch.arange, size), indexing="ij")).float()
    offsets = torch.full((2, *size), torch.nan)
    for number in sorted(set(instances.flatten().tolist())):
        if number >= 1000:
            inside = instances == number
            pixels = places[:, inside]
            offsets[:, inside] = pixels.mean(dim=1, keepdim=True) - pixels
    return offsets


def disparity(values: Array, size: tuple[int, int]) -> Tensor:
    """Return disparities (1, H, W) in pixels, (v - 1) / 256 of the 16-bit v, NaN for v = 0."""
    if values.ndim != 2:
        raise DataError(f"got an image {values.shape}, expected one channel of 16 bits")
    codes = torch.from_numpy(values.astype(np.float32)).unsqueeze(0)
    return resized(torch.where(codes == 0, torch.nan, (codes - 1) / 256), size)
