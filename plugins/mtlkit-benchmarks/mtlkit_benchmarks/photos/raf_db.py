"""RAF-DB: the basic expression of faces, with gender, race and age band.

Paper: Shan Li, Weihong Deng and JunPing Du, "Reliable Crowdsourcing and Deep Locality-Preserving
Learning for Expression Recognition in the Wild", CVPR 2017.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit.data import Categorical, Column, Data, Frame, Loading, Split
from mtlkit.plugins import DataError, at_least
from mtlkit_benchmarks.trees.files import existing, image_rows, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import WithoutValidation

EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""The expressions of the labels 1 to 7."""

MANUAL = {
    "gender": ("male", "female", None),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""Labels of the lines 6 to 8 of an annotation, by their codes; None is unsure."""

LIST = "EmoLabel/list_patition_label.txt"  # as it is spelled in the official archive
SAMPLES = {"train": 12_271, "test": 3_068}


@attrs.frozen(kw_only=True)
class RAFDB(WithoutValidation):
    """Aligned faces with the label `expression`, and `gender`, `race` and `age` if they are there.

    `folder` has ``EmoLabel/list_patition_label.txt``, in which labels are 1 to 7, and
    ``Image/aligned/NAME_aligned.jpg``. The other labels are read from
    ``Annotation/manual/NAME_manu_attri.txt`` if this folder exists. Images are resized to `size`
    pixels a side.
    """

    folder: Path = Path("raf-db")
    size: int = attrs.field(default=100, validator=at_least(1))

    def layout(self) -> Layout:
        parts = [TreePart(LIST, count=1)]
        parts += [
            TreePart(f"Image/aligned/{split}_*_aligned.jpg", count=count)
            for split, count in SAMPLES.items()
        ]
        page = "the page Real-world Affective Faces Database of whdeng.cn (by request)"
        return Layout("RAF-DB, basic expressions", page, tuple(parts))

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        rows = [
            _named(folder / LIST, number, line)
            for number, line in enumerate(read_lines(folder / LIST), start=1)
        ]
        splits = {}
        for split in SAMPLES:
            chosen = [(name, code) for name, code in rows if name.startswith(f"{split}_")]
            stems = [name.removesuffix(".jpg") for name, _ in chosen]
            expressions = [EXPRESSIONS[code - 1] for _, code in chosen]
            columns: dict[str, Column] = {"expression": Categorical.of(expressions, EXPRESSIONS)}
            manual = folder / "Annotation" / "manual"
            if manual.is_dir():
                columns |= manual_columns(manual, stems)
            paths = existing([folder / "Image/aligned" / f"{stem}_aligned.jpg" for stem in stems])
            images = image_rows(paths, Frame(self.size, self.size, 3), loading)
            splits[split] = Split(inputs=images, columns=columns, ids=stems)
        return Data(train=splits["train"], test=splits["test"])


def manual_columns(folder: Path, stems: list[str]) -> dict[str, Column]:
    """Return the labels of the annotations: five points, then a code in each line."""
    values: dict[str, list[str | None]] = {label: [] for label in MANUAL}
    for stem in stems:
        path = folder / f"{stem}_manu_attri.txt"
        lines = read_lines(path)
        if len(lines) != 5 + len(MANUAL):
            raise DataError(f"{path}: got {len(lines)} lines, expected five points and three codes")
        for line, (label, names) in zip(lines[5:], MANUAL.items(), strict=True):
            if not line.strip().isdigit() or int(line) >= len(names):
                raise DataError(f"{path}: got the {label} {line!r}, expected 0 to {len(names) - 1}")
            values[label].append(names[int(line)])
    return {
        label: Categorical.of(values[label], [name for name in names if name is not None])
        for label, names in MANUAL.items()
    }


def _named(path: Path, number: int, line: str) -> tuple[str, int]:
    name, _, code = line.strip().rpartition(" ")
    if not name.startswith(("train_", "test_")) or code not in set("1234567"):
        raise DataError(
            f"{path}: line {number}: got {line!r}, expected train_NUMBER.jpg or test_NUMBER.jpg "
            f"and a label from 1 to 7"
        )
    return name, int(code)
