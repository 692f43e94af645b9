"""What a data source promises."""

import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from mtlkit.data.dataset import Categorical, Data, Split
from mtlkit.data.source import Loading
from mtlkit.testing.check import Subject, checks, require


def loaded(subject: Subject, **circumstances: object) -> Data:
    """The example's data, loaded under some circumstances."""
    options = {"base": subject.example.base, "workers": 1, **circumstances}
    data: Data = subject.value.load(Loading(**options))  # type: ignore[arg-type]
    return data


def loads_samples_to_train_on(subject: Subject) -> None:
    """It gives Data with training samples, and a scale by which inputs can be divided."""
    data = loaded(subject)
    require(isinstance(data, Data), f"load gives a {type(data).__name__}, no Data")
    require(len(data.train) > 0, "there is no training sample")
    require(bool(data.train.columns), "training samples have no label")
    usable = math.isfinite(data.mean) and math.isfinite(data.std) and data.std > 0
    require(usable, f"inputs cannot be normalised by {data.mean} and {data.std}")


def gathers_samples(subject: Subject) -> None:
    """Samples are had by position, in any order and repeatedly: bytes or float32."""
    for name, split in loaded(subject).splits().items():
        last = len(split) - 1
        index = torch.tensor([last, 0, last])
        found = split.inputs[index]
        require(
            found.dtype in (torch.uint8, torch.float32),
            f"inputs of {name} are {found.dtype}; expected uint8 or float32",
        )
        rows = [split.inputs[torch.tensor([int(place)])][0] for place in index]
        require(
            all(torch.equal(one, row) for one, row in zip(found, rows, strict=True)),
            f"samples of {name} gathered together are not those gathered one by one",
        )
        require(bool(found.float().isfinite().all()), f"inputs of {name} are not finite")


def has_inputs_of_one_shape(subject: Subject) -> None:
    """All splits have inputs of the shape of the training samples."""
    data = loaded(subject)
    for name, split in data.splits().items():
        shape = tuple(split.inputs[torch.tensor([0])].shape[1:])
        require(
            shape == data.sample_shape,
            f"inputs of {name} are {shape}, those of train {data.sample_shape}",
        )


def loads_the_same_again(subject: Subject) -> None:
    """Loaded twice it is the same, sample by sample."""
    _require_same(loaded(subject), loaded(subject), "loaded again")


def is_the_same_under_all_circumstances(subject: Subject) -> None:
    """Cache, workers and progress never change what is loaded."""
    plain = loaded(subject)
    with tempfile.TemporaryDirectory() as name:
        for what in ("with an empty cache", "from the cache"):
            again = loaded(subject, cache=Path(name) / "cache", progress=_unheard)
            _require_same(plain, again, what)
            del again  # what is mapped from the cache must be let go before the folder goes
    _require_same(plain, loaded(subject, workers=2), "with two workers")


def _unheard(label: str, done: int, total: int) -> None:
    require(0 <= done <= total, f"it reports {done} of {total} {label}")


def keeps_its_splits_apart(subject: Subject) -> None:
    """Ids are unique, and no sample is in two splits."""
    seen: dict[str, str] = {}
    for name, split in loaded(subject).splits().items():
        for identifier in split.ids:
            require(
                identifier not in seen,
                f"the sample {identifier!r} is in {seen.get(identifier)} and in {name}",
            )
            seen[identifier] = name


def labels_all_splits_alike(subject: Subject) -> None:
    """A label has one kind in all splits, and classes with different names."""
    data = loaded(subject)
    for name, split in data.splits().items():
        for label, column in split.columns.items():
            if label in data.train.columns:
                kind = type(data.train.columns[label])
                require(
                    type(column) is kind,
                    f"the label {label!r} is {type(column).__name__} in {name}, {kind.__name__} "
                    f"in train",
                )
            if isinstance(column, Categorical):
                require(
                    len(set(column.names)) == len(column.names),
                    f"two classes of {label!r} have one name: {list(column.names)}",
                )


def _require_same(first: Data, second: Data, how: str) -> None:
    require(list(first.splits()) == list(second.splits()), f"{how} it has other splits")
    for name, split in first.splits().items():
        other = second.splits()[name]
        require(list(split.ids) == list(other.ids), f"{how} {name} has other samples")
        require(torch.equal(_all(split), _all(other)), f"{how} inputs of {name} differ")
        for label, column in split.columns.items():
            one, two = _labels(column), _labels(other.columns[label])
            require(torch.equal(one, two), f"{how} the labels {label!r} of {name} differ")


def _all(split: Split) -> Tensor:
    return split.inputs[torch.arange(len(split))]


def _labels(column: object) -> Tensor:
    if isinstance(column, Categorical):
        return column.codes
    values: Tensor = column.values.nan_to_num(-1e30)  # type: ignore[attr-defined]
    return values


CHECKS = checks(
    loads_samples_to_train_on,
    gathers_samples,
    has_inputs_of_one_shape,
    loads_the_same_again,
    is_the_same_under_all_circumstances,
    keeps_its_splits_apart,
    labels_all_splits_alike,
)
