"""FairFace: age, gender and race of faces, balanced in race.

Paper: Kimmo Karkkainen and Jungseock Joo, "FairFace: Face Attribute Dataset for Balanced Race,
Gender, and Age for Bias Measurement and Mitigation", WACV 2021.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit.data import Categorical, Data, Frame, Loading, Split
from mtlkit.plugins import DataError, at_least
from mtlkit_benchmarks.trees.files import existing, image_rows, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import WithoutValidation

VOCABULARY = {
    "age": ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"),
    "gender": ("Male", "Female"),
    "race": ("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian",
             "Middle Eastern"),
}  # fmt: skip
SAMPLES = {"train": 86_744, "test": 10_954}
PARTS = {"train": "train", "test": "val"}


@attrs.frozen(kw_only=True)
class FairFace(WithoutValidation):
    """Faces with the labels `age` (nine bands), `gender` and `race` (seven groups).

    `folder` has ``fairface_label_{train,val}.csv``, and the images under the paths of their column
    `file`; `val` is for testing. Images are resized to `size` pixels a side.
    """

    folder: Path = Path("fairface")
    size: int = attrs.field(default=64, validator=at_least(1))

    def layout(self) -> Layout:
        parts = [TreePart(f"fairface_label_{name}.csv", count=1) for name in PARTS.values()]
        parts += [
            TreePart(f"{PARTS[split]}/*.jpg", count=count) for split, count in SAMPLES.items()
        ]
        return Layout("FairFace", "the README of joojs/fairface on GitHub", tuple(parts))

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        splits = {split: self._split(folder, name, loading) for split, name in PARTS.items()}
        return Data(train=splits["train"], test=splits["test"])

    def _split(self, folder: Path, name: str, loading: Loading) -> Split:
        path = folder / f"fairface_label_{name}.csv"
        rows = list(csv.DictReader(read_lines(path)))
        missing = {"file", *VOCABULARY} - set(rows[0] if rows else ())
        if missing:
            raise DataError(f"{path}: has no column {sorted(missing)[0]!r}")
        columns = {}
        for label, names in VOCABULARY.items():
            try:
                columns[label] = Categorical.of([row[label] for row in rows], names)
            except DataError as cause:
                raise DataError(f"{path}: {cause}") from cause
        paths = existing([folder / row["file"] for row in rows])
        images = image_rows(paths, Frame(self.size, self.size, 3), loading)
        return Split(inputs=images, columns=columns, ids=[row["file"] for row in rows])
