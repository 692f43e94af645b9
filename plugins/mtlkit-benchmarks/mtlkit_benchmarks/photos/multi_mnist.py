"""MultiMNIST: two overlapping digits, a task for each.

Paper: Sara Sabour, Nicholas Frosst and Geoffrey E. Hinton, "Dynamic Routing Between Capsules",
NeurIPS 2017; the layouts are those of Ozan Sener and Vladlen Koltun, "Multi-Task Learning as
Multi-Objective Optimization", NeurIPS 2018, and Xi Lin, Hui-Ling Zhen, Zhenhua Li, Qingfu Zhang and
Sam Kwong, "Pareto Multi-Task Learning", NeurIPS 2019.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data import Categorical, Data, Loading, Split
from mtlkit.plugins import DataError, one_of
from mtlkit_benchmarks.photos.idx import read_idx
from mtlkit_benchmarks.photos.pickled_arrays import read_arrays
from mtlkit_benchmarks.trees.files import first_file
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import WithoutValidation

Bytes = NDArray[np.uint8]

DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
            "bag", "ankle boot")  # fmt: skip
FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
         "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}  # fmt: skip
SAMPLES = {"train": 60_000, "test": 10_000}


@attrs.frozen
class DigitStyle:
    """The overlay of two images: the `offset` of the second one, and the number of partners."""

    offset: int
    partners: int
    side: int  # of the result; smaller than the canvas is resized by the nearest pixel


STYLES = {"pareto": DigitStyle(8, 2, 36), "mgda": DigitStyle(6, 1, 28)}


@attrs.frozen(kw_only=True)
class MultiMNIST(WithoutValidation):
    """Two overlapping images with the classes `left` and `right`, generated from idx files.

    `folder` has the four files of MNIST, ``train-images-idx3-ubyte`` and so on, with or without
    ``.gz``, and `second` those of the images at the lower right, by default the same. With Fashion-
    MNIST in one or both, these are MultiFashion and Multi-Fashion+MNIST. If the files for training
    are absent and `complete` is false, four fifths of the test files are used for training.

    `style` is ``pareto``, 36 pixels a side with two partners for each image, or ``mgda``, 28 pixels
    with one partner. Partners are drawn by `seed` within a split, so no image is in two splits; an
    image may be its own partner, as in the original.
    """

    folder: Path = Path("mnist")
    second: Path | None = None
    names: tuple[str, str] = attrs.field(default=("digits", "digits"))
    style: str = attrs.field(default="pareto", validator=one_of(*STYLES))

    @names.validator
    def _known(self, _: "attrs.Attribute[tuple[str, str]]", value: tuple[str, str]) -> None:
        if len(value) != 2 or set(value) - {"digits", "garments"}:
            raise ValueError(f"names: expected two of digits and garments, got {list(value)}")

    def layout(self) -> Layout:
        files = [name for split in ("train", "test") for name in FILES[split]]
        if not self.complete:
            files = [*FILES["test"]]
        parts = tuple(TreePart(name, (f"{name}.gz",), 1) for name in files)
        page = "the page THE MNIST DATABASE of yann.lecun.com, or zalandoresearch/fashion-mnist"
        return Layout("MNIST or Fashion-MNIST", page, parts)

    def samples(self) -> Mapping[str, int]:
        partners = STYLES[self.style].partners
        return {split: count * partners for split, count in SAMPLES.items()}

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        first = read_digits(folder)
        second = first if self.second is None else read_digits(loading.base / self.second)
        splits = {}
        for number, split in enumerate(FILES):
            random = np.random.default_rng((self.seed, number))
            pixels, labels = overlaid(first[split], second[split], STYLES[self.style], random)
            splits[split] = self._split(split, pixels, labels)
        return Data(train=splits["train"], test=splits["test"], mean=33.3285, std=78.5655)

    def _split(self, name: str, pixels: Tensor, labels: Tensor) -> Split:
        vocabulary = {"digits": DIGITS, "garments": GARMENTS}
        columns = {
            side: Categorical(labels[:, place].contiguous(), vocabulary[self.names[place]])
            for place, side in enumerate(("left", "right"))
        }
        ids = [f"{name} {number}" for number in range(len(pixels))]
        return Split(inputs=pixels, columns=columns, ids=ids)


def read_digits(folder: Path) -> dict[str, tuple[Bytes, Bytes]]:
    """Return images (N, 28, 28) and labels (N,) of each split in idx files."""
    splits = {}
    for split, (images, labels) in FILES.items():
        if split == "train" and not any(folder.glob(f"{images}*")):
            continue
        pixels = read_idx(first_file(folder, images, f"{images}.gz"))
        codes = read_idx(first_file(folder, labels, f"{labels}.gz"))
        if pixels.ndim != 3 or len(pixels) != len(codes) or int(codes.max()) > 9:
            raise DataError(f"{folder}: got {pixels.shape} and {codes.shape} for {split}, expected "
                            f"as many labels from 0 to 9 as images")  # fmt: skip
        splits[split] = (pixels, codes)
    if "train" not in splits:  # the layout allows it for a part of the data set alone
        pixels, codes = splits["test"]
        cut = len(pixels) * 4 // 5
        splits = {"train": (pixels[:cut], codes[:cut]), "test": (pixels[cut:], codes[cut:])}
    return splits


def overlaid(
    first: tuple[Bytes, Bytes], second: tuple[Bytes, Bytes], style: DigitStyle,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return images (N, 1, side, side), the maxima of two of them, and their labels (N, 2).

    The first image is at the upper left, and a partner drawn by `random` at the lower right.
    """
    images, labels = first
    side = images.shape[1] + style.offset
    all_pixels, all_labels = [], []
    for _ in range(style.partners):
        partner = random.integers(len(second[0]), size=len(images))
        canvas = np.zeros((len(images), side, side), dtype=np.uint8)
        canvas[:, : images.shape[1], : images.shape[2]] = images
        place = canvas[:, style.offset :, style.offset :]
        np.maximum(place, second[0][partner], out=place)
        all_pixels.append(_nearest(canvas, style.side))
        all_labels.append(np.stack([labels, second[1][partner]], axis=1))
    pixels = torch.from_numpy(np.concatenate(all_pixels)).unsqueeze(1)
    return pixels, torch.from_numpy(np.concatenate(all_labels).astype(np.int64))


def _nearest(images: Bytes, side: int) -> Bytes:
    """Return images (N, S, S) resized to `side` pixels by the nearest pixel."""
    index = ((np.arange(side) + 0.5) * images.shape[1] / side).astype(np.int64)
    return images if side == images.shape[1] else images[:, index][:, :, index]


@attrs.frozen(kw_only=True)
class ParetoMNIST(WithoutValidation):
    """Two overlapping images with the classes `left` and `right`, from the authors' pickle.

    `file` in `folder` is ``multi_mnist.pickle``, ``multi_fashion.pickle`` or
    ``multi_fashion_and_mnist.pickle``: images (120000, 36, 36) and labels (120000, 2) for training,
    and the same of 20,000 for testing. The pickle may hold arrays alone; nothing in it is executed.
    """

    folder: Path = Path("data")
    file: str = "multi_mnist.pickle"

    def layout(self) -> Layout:
        page = 'the section "MultiMNIST" of the README of Xi-L/ParetoMTL on GitHub'
        return Layout("the data of Pareto MTL", page, (TreePart(self.file, count=1),))

    def samples(self) -> Mapping[str, int]:
        return {"train": 120_000, "test": 20_000}

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        arrays = read_arrays(folder / self.file)
        shapes = [array.shape for array in arrays]
        if len(arrays) != 4 or any(
            array.ndim != dims for array, dims in zip(arrays, (3, 2) * 2, strict=False)
        ):
            raise DataError(
                f"{folder / self.file}: got arrays of {shapes}, expected images (N, 36, 36) and "
                f"labels (N, 2), for training and for testing"
            )
        splits = {
            name: self._split(name, arrays[2 * number], arrays[2 * number + 1])
            for number, name in enumerate(("train", "test"))
        }
        return Data(train=splits["train"], test=splits["test"], mean=0.0, std=1.0)

    def _split(self, name: str, images: NDArray[np.generic], labels: NDArray[np.generic]) -> Split:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1)
        pixels = pixels if pixels.dtype == torch.uint8 else pixels.float()
        codes = torch.from_numpy(labels.astype(np.int64))
        columns = {
            side: Categorical(codes[:, place].contiguous(), DIGITS)
            for place, side in enumerate(("left", "right"))
        }
        return Split(
            inputs=pixels, columns=columns, ids=[f"{name} {n}" for n in range(len(pixels))]
        )
