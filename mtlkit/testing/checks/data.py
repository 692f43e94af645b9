"""Checks of data sources."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data.columns import Column
from mtlkit.data.dataset import Data, Split
from mtlkit.data.source import Loading
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch
from mtlkit.targets.rows import chunks
from mtlkit.testing.check import Subject, checks_of, require, require_type


def load(subject: Subject, **settings: object) -> Data:
    """Load the data of the example with some settings of `Loading`."""
    options = {"base": subject.example.base, "workers": 1, **settings}
    data: Data = subject.value.load(Loading(**options))  # type: ignore[arg-type]
    return data


def loads_training_samples(subject: Subject) -> None:
    """It returns Data with training samples, labels and a valid mean and std."""
    data = load(subject)
    require_type(data, Data, "load")
    require(len(data.train) > 0, "the training split is empty")
    require(bool(data.train.columns), "training samples have no label")
    inputs = data.input_specs
    specs = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    for name, spec in specs.items():
        finite = all(math.isfinite(value) for value in (*spec.mean, *spec.std))
        require(finite, f"{name} cannot be normalized by {spec.mean} and {spec.std}")


def gathers_samples(subject: Subject) -> None:
    """Samples can be gathered by index, in any order and repeatedly; a batch holds tensors."""
    for name, split in load(subject).splits().items():
        last = len(split) - 1
        index = torch.tensor([last, 0, last])
        batch = split.inputs[index]
        if isinstance(batch, Tensor):
            require(
                batch.dtype in (torch.uint8, torch.float32, torch.int64),
                f"inputs of {name} are {batch.dtype}; expected uint8, float32, or int64 for ids",
            )
            rows = [split.inputs[torch.tensor([int(i)])][0] for i in index]  # type: ignore[index]
            require(
                all(torch.equal(one, row) for one, row in zip(batch, rows, strict=True)),
                f"samples of {name} gathered together are not those gathered one by one",
            )
        again = _named(split.inputs[index])
        for key, values in _named(batch).items():
            require(torch.equal(values, again[key]), f"{key} of {name}, read again, differ")
            finite = bool(values.float().isfinite().all())
            require(finite, f"{key} of {name} are not finite")
        for label, column in split.columns.items():
            alone = torch.cat([column[number.reshape(1)] for number in index])
            require(
                torch.equal(column[index].nan_to_num(), alone.nan_to_num()),
                f"labels {label!r} of {name} gathered together are not those gathered one by one",
            )


def _named(batch: Batch) -> Mapping[str, Tensor]:
    return {"inputs": batch} if isinstance(batch, Tensor) else batch


def has_inputs_of_one_shape(subject: Subject) -> None:
    """All splits have inputs of the shapes of those of training."""
    data = load(subject)
    train = attrs.evolve(data, validation=None, test=None)
    for name, split in data.splits().items():
        inputs = attrs.evolve(train, train=split).input_specs
        require(
            inputs == data.input_specs,
            f"inputs of {name} are {inputs}, those of train {data.input_specs}",
        )


def loads_deterministically(subject: Subject) -> None:
    """Loading twice returns the same samples and labels."""
    _require_same(load(subject), load(subject), "loaded again")


def ignores_cache_and_workers(subject: Subject) -> None:
    """Cache, workers and progress do not change the loaded data."""
    plain = load(subject)
    with tempfile.TemporaryDirectory() as name:
        for prefix in ("with an empty cache", "from the cache"):
            again = load(subject, cache=Path(name) / "cache", progress=_require_valid_counts)
            _require_same(plain, again, prefix)
            del again  # release memory maps of the cache before its folder is deleted
    _require_same(plain, load(subject, workers=2), "with two workers")


def _require_valid_counts(label: str, done: int, total: int) -> None:
    require(0 <= done <= total, f"it reports {done} of {total} {label}")


def has_disjoint_splits(subject: Subject) -> None:
    """Ids are unique, within and across splits."""
    split_of: dict[str, str] = {}
    for name, split in load(subject).splits().items():
        for identifier in split.ids:
            require(
                identifier not in split_of,
                f"the sample {identifier!r} is in {split_of.get(identifier)} and in {name}",
            )
            split_of[identifier] = name


def labels_splits_consistently(subject: Subject) -> None:
    """A label has the same type in all splits, and its classes or components distinct names."""
    data = load(subject)
    for name, split in data.splits().items():
        for label, column in split.columns.items():
            target = column.target
            if label in data.train.columns:
                other = data.train.columns[label].target
                # the classes of a sample are encoded by their names, which a split may lack
                same = target == other if target.dims > 1 else type(target) is type(other)
                require(same, f"the label {label!r} is {target} in {name}, {other} in train")
            for names in (target.classes, target.components):
                require(
                    len(set(names)) == len(names),
                    f"two classes or components of {label!r} have one name: {list(names)}",
                )


def labels_fit_their_types(subject: Subject) -> None:
    """Every label that is read has the shape, dtype and range that its column's type states."""
    for name, split in load(subject).splits().items():
        for label, column in split.columns.items():
            for part in chunks(column.rows):
                try:
                    column.target.check(part.float() if part.dtype == torch.float64 else part)
                except DataError as cause:
                    require(False, f"the label {label!r} of {name}: {cause}")


def _require_same(first: Data, second: Data, prefix: str) -> None:
    require(list(first.splits()) == list(second.splits()), f"{prefix} it has other splits")
    for name, split in first.splits().items():
        other = second.splits()[name]
        require(list(split.ids) == list(other.ids), f"{prefix} {name} has other samples")
        for key, values in _all(split).items():
            require(torch.equal(values, _all(other)[key]), f"{prefix} {key} of {name} differ")
        for label, column in split.columns.items():
            one, two = _labels(column), _labels(other.columns[label])
            require(torch.equal(one, two), f"{prefix} the labels {label!r} of {name} differ")


def _all(split: Split) -> Mapping[str, Tensor]:
    return _named(split.inputs[torch.arange(len(split))])


def _labels(column: Column) -> Tensor:
    """Return all labels of a column, with a number in place of NaN so that they compare."""
    labels = torch.cat(list(chunks(column.rows)))
    return labels.nan_to_num(-1e30) if labels.is_floating_point() else labels


CHECKS = checks_of(__name__)
