"""Base classes of the sources that read an official tree."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import torch

from mtlkit.data import Data, DataSource, Loading, RandomSplit, Split, split_samples
from mtlkit.plugins import DataError
from mtlkit_benchmarks.trees.layout import Layout
from mtlkit_benchmarks.trees.on_access import Numbered


@attrs.frozen(kw_only=True)
class OfficialTree(DataSource):
    """A source that reads the official tree of a data set in `folder`.

    The numbers of files and of samples must be the published ones, unless `complete` is false:
    then a part of the data set is read.
    """

    folder: Path
    complete: bool = True

    @abstractmethod
    def layout(self) -> Layout:
        """Return the files that the source expects."""

    def samples(self) -> Mapping[str, int]:
        """Return the published number of samples of each split; none that is not published."""
        return {}

    @abstractmethod
    def read_tree(self, folder: Path, loading: Loading) -> Data:
        """Return the data of the tree in `folder`, which has the files of the layout."""

    def load(self, loading: Loading) -> Data:
        folder = loading.base / self.folder
        self.layout().require(folder, complete=self.complete)
        data = self.read_tree(folder, loading)
        if self.complete:
            self._require_published(data, folder)
        return self._with_validation(data)

    def _with_validation(self, data: Data) -> Data:
        return data

    def _require_published(self, data: Data, folder: Path) -> None:
        splits = data.splits()
        for name, count in self.samples().items():
            if len(splits[name]) != count:
                raise DataError(
                    f"{folder}: got {len(splits[name]):,} samples for {name}, expected the "
                    f"{count:,} of {self.layout().title}; get the whole data set from "
                    f"{self.layout().page}, or set `complete: false`"
                )


def _fraction_or_test(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    if value != "test" and not (isinstance(value, int | float) and 0 <= value < 1):
        raise ValueError(
            f"{field.name}: expected a number from 0 to below 1, or test, got {value!r}"
        )


@attrs.frozen(kw_only=True)
class WithoutValidation(OfficialTree):
    """An official tree that has splits for training and testing alone.

    `validation` is the fraction of the training samples that are used for validation instead, drawn
    by `seed`. With ``test`` the samples for testing are those for validation, too: papers measure
    them after each epoch and report the best, or the mean of the last.
    """

    validation: float | Literal["test"] = attrs.field(default=0.0, validator=_fraction_or_test)
    seed: int = 0

    def _with_validation(self, data: Data) -> Data:
        if data.validation is not None or self.validation == 0 or data.test is None:
            return data
        if self.validation == "test":
            return attrs.evolve(data, validation=renamed(data.test, "validation"))
        train, validation = self._divided(data.train, self.validation)
        return attrs.evolve(data, train=train, validation=validation)

    def _divided(self, train: Split, fraction: float) -> tuple[Split, Split]:
        """Return the samples that stay for training, and a `fraction` of them for validation."""
        split = RandomSplit(validation=fraction, test=0.0, seed=self.seed)
        indices = split_samples(split, train.ids, None)
        kept, held = (train.subset(torch.tensor(indices[name])) for name in ("train", "validation"))
        return kept, held


def renamed(split: Split, prefix: str) -> Split:
    """Return the samples of `split` under ids that begin with `prefix`."""
    ids = split.ids
    if isinstance(ids, Numbered):
        return attrs.evolve(split, ids=attrs.evolve(ids, prefix=f"{prefix}/{ids.prefix}"))
    return attrs.evolve(split, ids=[f"{prefix}/{name}" for name in ids])
