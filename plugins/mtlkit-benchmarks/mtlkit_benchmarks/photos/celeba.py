"""CelebA: 40 attributes of the faces of celebrities.

Paper: Ziwei Liu, Ping Luo, Xiaogang Wang and Xiaoou Tang, "Deep Learning Face Attributes in the
Wild", ICCV 2015.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data import (
    Categorical,
    ClassTarget,
    Column,
    Data,
    Frame,
    Labels,
    Loading,
    MultiLabelTarget,
    Split,
    Target,
)
from mtlkit.plugins import DataError, at_least, one_of
from mtlkit_benchmarks.trees.files import existing, first_file, image_rows, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

SAMPLES = {"train": 162_770, "validation": 19_867, "test": 19_962}
PARTITION = ("train", "validation", "test")
IMAGES = {"Img/img_align_celeba": ".jpg", "img_align_celeba": ".jpg",
          "Img/img_align_celeba_png": ".png", "img_align_celeba_png": ".png"}  # fmt: skip
"""Suffix of the images by their folder."""

NAMES = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup",
    "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns",
    "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
]  # fmt: skip
"""Names of the attributes, in the order of the file."""

ATTRIBUTES, PARTS = "list_attr_celeba.txt", "list_eval_partition.txt"


@attrs.frozen(kw_only=True)
class CelebA(OfficialTree):
    """Aligned faces with a label for each attribute, such as ``Smiling``.

    `folder` has ``Img/img_align_celeba``, ``Anno/list_attr_celeba.txt`` and
    ``Eval/list_eval_partition.txt``; the files of text may be next to the folder of images instead,
    and the images may be PNG. Images are stretched to `size` pixels a side and are numbers from 0
    to 1 for the network. With `labels` of ``binary``, each attribute is one logit, and with
    ``classes`` it has the classes no and yes.
    """

    folder: Path = Path("celeba")
    size: int = attrs.field(default=64, validator=at_least(1))
    labels: str = attrs.field(default="binary", validator=one_of("binary", "classes"))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(NAMES, ClassTarget if self.labels == "classes" else MultiLabelTarget)

    def layout(self) -> Layout:
        count = sum(SAMPLES.values())
        first, *others = (f"{name}/*{suffix}" for name, suffix in IMAGES.items())
        parts = (
            TreePart(first, tuple(others), count),
            TreePart(f"Anno/{ATTRIBUTES}", (ATTRIBUTES,), 1),
            TreePart(f"Eval/{PARTS}", (PARTS,), 1),
        )
        page = "the page Large-scale CelebFaces Attributes (CelebA) Dataset of mmlab.ie.cuhk.edu.hk"
        return Layout("CelebA, aligned and cropped", page, parts)

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        names, attributes, values = read_attributes(
            first_file(folder, f"Anno/{ATTRIBUTES}", ATTRIBUTES)
        )
        partition = read_partition(first_file(folder, f"Eval/{PARTS}", PARTS))
        if set(partition) != set(attributes):
            odd = sorted(set(partition) ^ set(attributes))[0]
            raise DataError(f"{folder}: {odd} is in one of {ATTRIBUTES} and {PARTS}, expected both")
        images = next(folder / name for name in IMAGES if (folder / name).is_dir())
        suffix = IMAGES[images.relative_to(folder).as_posix()]
        rows = {name: row for row, name in enumerate(attributes)}
        frame = Frame(self.size, self.size, 3, "bilinear")
        splits = {}
        for code, split in enumerate(PARTITION):
            chosen = [name for name in attributes if partition[name] == code]
            labels = values[torch.tensor([rows[name] for name in chosen], dtype=torch.int64)]
            paths = existing([images / Path(name).with_suffix(suffix) for name in chosen])
            splits[split] = Split(
                inputs=image_rows(paths, frame, loading),
                columns={
                    name: self._column(name, labels[:, k].long()) for k, name in enumerate(names)
                },
                ids=chosen,
            )
        return Data(
            train=splits["train"], validation=splits["validation"], test=splits["test"],
            mean=0.0, std=255.0,
        )  # fmt: skip

    def _column(self, name: str, labels: Tensor) -> Column:
        if self.labels == "classes":
            return Categorical(labels, ("no", "yes"))
        return Labels(MultiLabelTarget(names=(name,)), labels.unsqueeze(1))


def read_attributes(path: Path) -> tuple[list[str], list[str], Tensor]:
    """Return the names of attributes, the images, and 1 or 0 for each (N, 40) in uint8."""
    lines = read_lines(path)
    if len(lines) < 3 or not lines[0].strip().isdigit():
        raise DataError(f"{path}: got {lines[:1]}, expected the number of images in the first line")
    names = lines[1].split()
    if names != NAMES:
        raise DataError(f"{path}: got {len(names)} names, expected {', '.join(NAMES[:2])} to Young")
    if len(lines) - 2 != int(lines[0]):
        raise DataError(
            f"{path}: got {len(lines) - 2:,} images, expected the {lines[0]} of its first line"
        )
    images, values = list[str](), bytearray()
    for number, line in enumerate(lines[2:], start=3):
        image, *cells = line.split()
        if len(cells) != len(names) or set(cells) - {"1", "-1"}:
            raise DataError(
                f"{path}: line {number}: got {line[:60]!r}, expected a name and "
                f"{len(names)} values of 1 or -1"
            )
        images.append(image)
        values.extend(cell == "1" for cell in cells)
    table = torch.frombuffer(values, dtype=torch.uint8).view(-1, len(names))
    return names, images, table


def read_partition(path: Path) -> dict[str, int]:
    """Return the part of each image by name: 0, 1 or 2."""
    parts = {}
    for number, line in enumerate(read_lines(path), start=1):
        name, _, part = line.strip().partition(" ")
        if part.strip() not in ("0", "1", "2"):
            raise DataError(f"{path}: line {number}: got {line!r}, expected NAME and 0, 1 or 2")
        parts[name] = int(part)
    return parts
