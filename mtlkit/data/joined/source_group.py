"""Base of the data sources that join several others."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import attrs
import torch

from mtlkit.data.blocks import SampleBlocks
from mtlkit.data.columns import Categorical
from mtlkit.data.dataset import Data, Split
from mtlkit.data.inputs import Inputs
from mtlkit.data.joined.concatenation import ConcatInputs, Parts, concat_column, targets_of
from mtlkit.data.source import DataSource, Loading
from mtlkit.errors import DataError, did_you_mean
from mtlkit.features.inputs import described_inputs
from mtlkit.features.pretrained import PretrainedImages
from mtlkit.targets.base import Target
from mtlkit.targets.rows import Rows


def _sources(_: Any, field: "attrs.Attribute[Any]", value: Mapping[str, DataSource]) -> None:
    if len(value) < 2:
        raise ValueError(f"{field.name}: expected two sources or more, got {len(value)}")
    wrong = next((name for name in value if not name or "/" in name), None)
    if wrong is not None:
        raise ValueError(f"{field.name}: expected names without a slash, got {wrong!r}")


def of_sources(
    group: "SourceGroup", field: "attrs.Attribute[Any]", value: Mapping[str, Any]
) -> None:
    """Accept mappings by the names of sources."""
    for name in value:
        if name not in group.sources:
            known = list(group.sources)
            hint = did_you_mean(name, known) or f"; expected one of {', '.join(known)}"
            raise ValueError(f"{field.name}: {name!r} is not a source{hint}")


@attrs.frozen(kw_only=True)
class SourceGroup(DataSource):
    """Base of the sources that join others: `sources` by name, of which `rename` renames labels.

    The class `label` of each sample is its source.
    """

    sources: Mapping[str, DataSource] = attrs.field(validator=_sources)
    rename: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict, validator=of_sources)
    label: str = "source"

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {
            self.rename.get(name, {}).get(label, label): target
            for name, source in self.sources.items()
            for label, target in source.label_targets.items()
        }

    def load(self, loading: Loading) -> Data:
        return self.joined(self.loaded(loading))

    def loaded(self, loading: Loading) -> dict[str, Data]:
        """Return the data of each source, with renamed labels."""
        loaded = {}
        for name, source in self.sources.items():
            try:
                loaded[name] = _renamed(source.load(loading), self.rename.get(name, {}))
            except DataError as cause:
                raise DataError(*cause.lines_at(f"data.sources.{name}")) from cause
        return loaded

    @abstractmethod
    def joined(self, loaded: Mapping[str, Data]) -> Data:
        """Return the data of all sources as one."""

    def for_pretrained(self, images: PretrainedImages) -> Self:
        sources = {name: source.for_pretrained(images) for name, source in self.sources.items()}
        return attrs.evolve(self, sources=sources)

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return new samples of one source: ``{NAME: rows}``, or rows that all sources read alike.

        Sources of one type that compute nothing from their training samples read alike.
        """
        if isinstance(rows, Mapping) and len(rows) == 1 and next(iter(rows)) in self.sources:
            ((name, rows),) = rows.items()
        else:
            name = next(iter(self.sources))
            if preprocessing or len({type(source) for source in self.sources.values()}) > 1:
                raise DataError(
                    f"rows: got samples of an unknown source, expected {{NAME: rows}} with one of "
                    f"{', '.join(self.sources)}"
                )
        return self.sources[name].read(rows, preprocessing.get(name, {}), loading)


def _renamed(data: Data, names: Mapping[str, str]) -> Data:
    """Return `data` with labels called by the values of `names`."""
    for old in names:
        data.train.column(old)  # raises an error that lists the labels
    after = [names.get(label, label) for label in data.train.columns]
    twice = next((label for label in after if after.count(label) > 1), None)
    if twice is not None:
        raise DataError(f"rename: two labels would be called {twice!r}; choose another name")

    def renamed(split: Split) -> Split:
        columns = {names.get(label, label): column for label, column in split.columns.items()}
        return attrs.evolve(split, columns=columns)

    open_labels = frozenset(names.get(label, label) for label in data.open_labels)
    splits = {name: renamed(split) for name, split in data.splits().items()}
    return attrs.evolve(data.with_splits(splits), open_labels=open_labels)


def _require_equal_inputs(loaded: Mapping[str, Data]) -> None:
    (first, data), *others = loaded.items()
    expected = data.input_specs
    for name, other in others:
        if other.input_specs != expected:
            raise DataError(
                f"data.sources.{name}: got inputs {described_inputs(other.input_specs)}; expected "
                f"those of {first}, {described_inputs(expected)}; give all sources inputs of one "
                f"shape, type and normalization"
            )


def concat_data(loaded: Mapping[str, Data], label: str) -> Data:
    """Return the data of all sources as one; the class `label` is the source.

    Raises `DataError` if inputs or labels of the sources do not fit together.
    """
    _require_equal_inputs(loaded)
    taken = next((name for name, data in loaded.items() if label in data.train.columns), None)
    if taken is not None:
        raise DataError(
            f"data.label: {label!r} is a label of the source {taken}; choose another name"
        )
    examples = {
        name: column.rows
        for data in loaded.values()
        for split in data.splits().values()
        for name, column in split.columns.items()
        if len(column)
    }
    train = {name: data.train for name, data in loaded.items()}
    splits = {}
    for split in ("train", "validation", "test"):
        parts = {
            name: data.splits()[split] for name, data in loaded.items() if split in data.splits()
        }
        if parts:
            # the classes of training come first, so that codes agree between splits
            targets = targets_of(train, parts)
            splits[split] = _split(parts, targets, examples, label, tuple(loaded))
    first = next(iter(loaded.values()))
    return Data(
        train=splits["train"],
        open_labels=frozenset[str]().union(*(data.open_labels for data in loaded.values())),
        mean=first.mean,
        std=first.std,
        standardize=first.standardize,
        inputs=first.inputs,
        preprocessing={
            name: data.preprocessing for name, data in loaded.items() if data.preprocessing
        },
        summary={
            f"{name}: {fact}": value
            for name, data in loaded.items()
            for fact, value in data.summary.items()
        },
        notes=tuple(f"{name}: {note}" for name, data in loaded.items() for note in data.notes),
    ).with_splits(splits)


def _split(
    parts: Parts,
    targets: Mapping[str, Target],
    examples: Mapping[str, Rows],
    label: str,
    names: tuple[str, ...],
) -> Split:
    codes = [torch.full((len(part),), names.index(name)) for name, part in parts.items()]
    columns = {
        name: concat_column(name, target, parts, examples) for name, target in targets.items()
    }
    return Split(
        inputs=_inputs([part.inputs for part in parts.values()]),
        columns={**columns, label: Categorical(torch.cat(codes), names)},
        ids=[f"{name}/{sample}" for name, part in parts.items() for sample in part.ids],
        blocks=SampleBlocks.joined([(len(part), part.blocks) for part in parts.values()]),
    )


def _inputs(parts: list[Inputs]) -> Inputs:
    tensors = [part for part in parts if isinstance(part, torch.Tensor)]
    return torch.cat(tensors) if len(tensors) == len(parts) else ConcatInputs(parts)
