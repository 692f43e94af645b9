"""AffectNet: expression, valence and arousal of faces in the wild.

Paper: Ali Mollahosseini, Behzad Hasani and Mohammad H. Mahoor, "AffectNet: A Database for Facial
Expression, Valence, and Arousal Computing in the Wild", IEEE Transactions on Affective Computing
10(1), 2019.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs
import torch

from mtlkit.data import Categorical, Data, Frame, Loading, Numeric, Split
from mtlkit.plugins import MISSING, DataError, at_least
from mtlkit_benchmarks.trees.files import existing, image_rows, read_npy
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import WithoutValidation

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger",
               "contempt")  # fmt: skip
UNUSED = range(len(EXPRESSIONS), 11)
"""Codes without an expression: none, uncertain, and no face."""

INVALID = -2.0
"""The valence and arousal of an image that has none."""

SAMPLES = {"train": 287_651, "test": 3_999}
PARTS = {"train": "train_set", "test": "val_set"}


@attrs.frozen(kw_only=True)
class AffectNet(WithoutValidation):
    """Faces with the labels `expression` (eight), `valence` and `arousal`, from -1 to 1.

    `folder` has ``{train_set,val_set}/images/N.jpg`` and ``annotations/N_{exp,val,aro}.npy``;
    `val_set` is for testing. An expression of 8 to 10 and a valence or arousal of -2 are missing.
    Images are resized to `size` pixels a side.
    """

    folder: Path = Path("affectnet")
    size: int = attrs.field(default=112, validator=at_least(1))

    def layout(self) -> Layout:
        parts = [
            TreePart(f"{PARTS[split]}/{kind}", count=count)
            for split, count in SAMPLES.items()
            for kind in ("images/*.jpg", *(f"annotations/*_{n}.npy" for n in ("exp", "val", "aro")))
        ]
        page = "the page AffectNet of mohammadmahoor.com (by request)"
        return Layout("AffectNet, eight expressions", page, tuple(parts))

    def samples(self) -> Mapping[str, int]:
        return SAMPLES

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        splits = {
            split: self._split(folder / name, split, loading) for split, name in PARTS.items()
        }
        return Data(train=splits["train"], test=splits["test"])

    def _split(self, folder: Path, split: str, loading: Loading) -> Split:
        paths = sorted((folder / "images").glob("*.jpg"))
        values: dict[str, list[float]] = {"exp": [], "val": [], "aro": []}
        for number, path in enumerate(paths, start=1):
            for kind, known in values.items():
                known.append(_number(folder / "annotations" / f"{path.stem}_{kind}.npy"))
            loading.progress("reading annotations", number, len(paths))
        columns = {
            "expression": Categorical(_codes(folder, values["exp"]), EXPRESSIONS),
            "valence": Numeric(_affect(folder, values["val"])),
            "arousal": Numeric(_affect(folder, values["aro"])),
        }
        images = image_rows(paths, Frame(self.size, self.size, 3), loading)
        return Split(inputs=images, columns=columns, ids=[f"{split}/{path.stem}" for path in paths])


def _number(path: Path) -> float:
    existing([path])
    value = read_npy(path).reshape(-1)
    try:
        return float(value[0])  # official files hold the number as text
    except (ValueError, IndexError) as cause:
        raise DataError(f"{path}: got {value!r}, expected one number") from cause


def _codes(folder: Path, values: list[float]) -> torch.Tensor:
    codes = torch.tensor(values)
    wrong = codes[(codes < 0) | (codes > max(UNUSED)) | (codes != codes.round())]
    if len(wrong):
        raise DataError(f"{folder}: got the expression {float(wrong[0]):g}, expected 0 to 10")
    return torch.where(codes < len(EXPRESSIONS), codes, MISSING).long()


def _affect(folder: Path, values: list[float]) -> torch.Tensor:
    numbers = torch.tensor(values, dtype=torch.float64)
    wrong = numbers[(numbers != INVALID) & ~(numbers.abs() <= 1)]
    if len(wrong):
        raise DataError(f"{folder}: got {float(wrong[0]):g}, expected -1 to 1, or -2 for none")
    return torch.where(numbers == INVALID, torch.nan, numbers)
