"""UTKFace: age, gender and race of faces, from the names of the files.

Paper: Zhifei Zhang, Yang Song and Hairong Qi, "Age Progression/Regression by Conditional
Adversarial Autoencoder", CVPR 2017.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from mtlkit.data import (
    Categorical,
    ClassTarget,
    Data,
    Frame,
    Inputs,
    Loading,
    NumberTarget,
    Numeric,
    RandomSplit,
    Split,
    Target,
    read_images,
    read_new_images,
)
from mtlkit.plugins import MISSING, DataError, at_least
from mtlkit_benchmarks.random_splits import random_splits
from mtlkit_benchmarks.trees.files import image_rows
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
_NAME = re.compile(r"(\d{1,3})_(\d)_(\d)_\d+ ?\.?j?pg(?:\.chip)?\.jpg")
"""Official names; one has a blank before the dot, one lacks the dot, and one the `j`."""

WITHOUT_RACE = frozenset(
    f"{name}.jpg.chip.jpg"
    for name in ("39_1_20170116174525125", "61_1_20170109142408075", "61_1_20170109150557335")
)
"""The official files whose names lack the race."""

_SHOWN = 5
IMAGES = 23_708
MEMORY = 2**29
"""Largest size of decoded images in memory, in bytes; more are decoded on access."""


@attrs.frozen(kw_only=True)
class UTKFace(OfficialTree):
    """Faces with the labels `age` in years, `gender` and `race`.

    `folder` has the aligned and cropped images under their official names,
    ``AGE_GENDER_RACE_DATE.jpg.chip.jpg``. Images are resized to `size` pixels a side, in `color` or
    gray. The race of the three official files that lack it in their name is a missing label. A file
    whose name has another form is an error unless `skip_bad` is true; then it is skipped and
    counted in the summary.
    """

    folder: Path = Path("utkface")
    size: int = attrs.field(default=48, validator=at_least(1))
    color: bool = True
    split: RandomSplit = attrs.field(factory=lambda: RandomSplit(validation=0.1, test=0.2))
    skip_bad: bool = False

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {"age": NumberTarget, "gender": ClassTarget, "race": ClassTarget}

    def layout(self) -> Layout:
        page = "the page UTKFace of susanqq.github.io (Aligned&Cropped Faces)"
        return Layout("UTKFace", page, (TreePart("*.jpg", count=IMAGES),))

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        paths = sorted(folder.glob("*.jpg"))
        faults = {path: fault for path in paths if (fault := fault_of(path.name))}
        good = [path for path in paths if path not in faults]
        pixels, errors = read_images(good, self._frame, loading, MEMORY)
        faults |= {good[position]: error for position, error in errors.items()}
        if faults and not self.skip_bad:
            shown = "; ".join(f"{path}: {fault}" for path, fault in [*faults.items()][:_SHOWN])
            raise DataError(f"got {len(faults)} bad files: {shown}; `skip_bad: true` skips them")
        kept = [row for row, path in enumerate(good) if path not in faults]
        if not kept:
            raise DataError(f"{folder}: got bad files alone, expected some that can be read")
        names = [good[row].name for row in kept]
        labels = [labels_of(name) for name in names]
        ages, genders, races = (torch.tensor(values) for values in zip(*labels, strict=True))
        columns = {
            "age": Numeric(ages.double()),
            "gender": Categorical(genders, GENDERS),
            "race": Categorical(races, RACES),
        }
        if pixels is None:
            inputs: Inputs = image_rows([good[row] for row in kept], self._frame, loading)
        else:
            inputs = pixels[torch.tensor(kept)]
        data = random_splits(self.split, inputs, columns, names)
        return attrs.evolve(data, summary={"skipped files": str(len(faults))})

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return new images: a file, a folder, a table of files or a list of paths."""
        return read_new_images(rows, self._frame, loading)

    @property
    def _frame(self) -> Frame:
        return Frame(self.size, self.size, channels=3 if self.color else 1)


def fault_of(name: str) -> str | None:
    """Return what is wrong with the name of a file, or None.

    >>> fault_of("26_0_1_20170116.jpg.chip.jpg")
    >>> fault_of("26_0_9_20170116.jpg.chip.jpg")
    'got the race 9, expected 0 to 4'
    """
    match = _NAME.fullmatch(name)
    if name in WITHOUT_RACE:
        return None
    if match is None:
        return "expected a name AGE_GENDER_RACE_DATE.jpg.chip.jpg"
    for label, code, count in (("gender", match[2], 2), ("race", match[3], len(RACES))):
        if int(code) >= count:
            return f"got the {label} {code}, expected 0 to {count - 1}"
    return None


def labels_of(name: str) -> tuple[int, int, int]:
    """Return the age, gender and race of a file by its name, -1 for a race that it lacks.

    >>> labels_of("26_0_1_20170116.jpg.chip.jpg")
    (26, 0, 1)
    """
    age, gender, race = name.split("_")[:3]
    return int(age), int(gender), MISSING if name in WITHOUT_RACE else int(race)
