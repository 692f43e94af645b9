"""Office-Caltech10: ten classes of objects in four domains, each of which is a task.

Paper: Boqing Gong, Yuan Shi, Fei Sha and Kristen Grauman, "Geodesic Flow Kernel for Unsupervised
Domain Adaptation", CVPR 2012, whose histograms of SURF features are the option `surf`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit.data import (
    Categorical,
    ClassTarget,
    Data,
    DataSource,
    Images,
    Loading,
    RandomSplit,
    Split,
    Target,
)
from mtlkit.plugins import MISSING, DataError, MissingExtraError, at_least
from mtlkit_benchmarks.random_splits import random_splits
from mtlkit_benchmarks.trees.files import readable

CLASSES = (
    "backpack",
    "bike",
    "calculator",
    "headphones",
    "keyboard",
    "laptop",
    "monitor",
    "mouse",
    "mug",
    "projector",
)
DOMAINS = ("amazon", "caltech10", "dslr", "webcam")
DOMAIN, CATEGORY = "domain", "category"
WORDS = 800


@attrs.frozen(kw_only=True)
class OfficeCaltech10(DataSource):
    """Objects with a label of each of the four domains, which other samples lack.

    `folder` has the images ``DOMAIN/CLASS/NAME.jpg``, which are resized to `size` pixels a side.
    With `surf`, inputs are instead the square roots of the frequencies of 800 visual words, from
    the counts `fts` and the classes `labels`, 1 to 10, of ``surf/DOMAIN.mat``. `domain` and
    `category` are labels of all samples.
    """

    folder: Path = Path("officecaltech10")
    surf: bool = False
    size: int = attrs.field(default=64, validator=at_least(1))
    split: RandomSplit = attrs.field(
        factory=lambda: RandomSplit(validation=0.1, test=0.3, stratify=DOMAIN)
    )

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(DOMAINS, ClassTarget)

    def load(self, loading: Loading) -> Data:
        if self.surf:
            data = _load_surf(loading.base / self.folder, self.split)
        else:
            data = self._images().load(loading)
        return attrs.evolve(
            data,
            train=_with_domains(data.train),
            validation=data.validation and _with_domains(data.validation),
            test=data.test and _with_domains(data.test),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return new images; with `surf`, the histograms of a file ``.mat``."""
        if not self.surf:
            return self._images().read(rows, preprocessing, loading)
        if not isinstance(rows, str | Path):
            raise DataError(f"rows: got {type(rows).__name__}, expected the path of a file .mat")
        inputs, _ = read_histograms(Path(rows))
        return Split(inputs=inputs, columns={}, ids=list(map(str, range(len(inputs)))))

    def _images(self) -> Images:
        return Images(
            folder=self.folder,
            pattern=f"{{{DOMAIN}}}/{{{CATEGORY}}}/*",
            ignore=("surf/*",),
            size=self.size,
            vocabulary={DOMAIN: DOMAINS, CATEGORY: CLASSES},
            split=self.split,
        )


def _with_domains(split: Split) -> Split:
    """Return the split with a column for each domain, the category of its samples."""
    domain, category = split.categorical(DOMAIN), split.categorical(CATEGORY)
    columns = {
        name: Categorical(
            torch.where(domain.codes == domain.names.index(name), category.codes, MISSING), CLASSES
        )
        for name in domain.names
    }
    return attrs.evolve(split, columns={**columns, DOMAIN: domain, CATEGORY: category})


def _load_surf(folder: Path, split: RandomSplit) -> Data:
    parts = [read_histograms(folder / "surf" / f"{name}.mat") for name in DOMAINS]
    sizes = [len(inputs) for inputs, _ in parts]
    columns = {
        DOMAIN: Categorical(
            torch.repeat_interleave(torch.arange(len(DOMAINS)), torch.tensor(sizes)), DOMAINS
        ),
        CATEGORY: Categorical(torch.cat([codes for _, codes in parts]), CLASSES),
    }
    ids = [f"{name}/{n}" for name, size in zip(DOMAINS, sizes, strict=True) for n in range(size)]
    data = random_splits(split, torch.cat([inputs for inputs, _ in parts]), columns, ids)
    known = data.train.inputs[torch.arange(len(data.train))]
    assert isinstance(known, Tensor)
    std = known.std(dim=0, correction=0)
    std = torch.where(std > 0, std, 1.0)  # a word that no training sample has
    return attrs.evolve(data, mean=tuple(known.mean(dim=0).tolist()), std=tuple(std.tolist()))


def read_histograms(path: Path) -> tuple[Tensor, Tensor]:
    """Return the square roots of frequencies (N, 800) of a file, and the classes (N,) from 0.

    Raises `DataError` for another file, and `MissingExtraError` without SciPy.
    """
    try:
        from scipy.io import loadmat  # optional
    except ImportError as cause:
        raise MissingExtraError("surf needs SciPy; pip install mtlkit-benchmarks[surf]") from cause
    with readable(path, "; expected arrays `fts` and `labels`, in the folder `folder`"):
        arrays = loadmat(path)
        counts, labels = arrays["fts"], arrays["labels"]
    if counts.shape[1:] != (WORDS,) or labels.shape != (len(counts), 1):
        raise DataError(
            f"{path}: got fts {counts.shape} and labels {labels.shape}, expected (N, {WORDS}) and "
            f"(N, 1)"
        )
    if labels.min() < 1 or labels.max() > len(CLASSES):
        raise DataError(
            f"{path}: got labels from {labels.min()} to {labels.max()}, expected 1 to "
            f"{len(CLASSES)}"
        )
    frequencies = torch.from_numpy(counts.astype(np.float32))
    frequencies /= frequencies.sum(dim=1, keepdim=True).clamp(min=1)
    return frequencies.sqrt(), torch.from_numpy(labels[:, 0].astype(np.int64)) - 1
