"""Several data sources as one, drawn in fixed ratios."""

from collections.abc import Mapping
from typing import Any

import attrs

from mtlkit.component import above, each
from mtlkit.data.columns import Categorical
from mtlkit.data.dataset import Data, Mixture, Split
from mtlkit.data.joined.source_group import SourceGroup, concat_data, of_sources
from mtlkit.errors import DataError, did_you_mean, shortened


def _epoch(mix: "Mix", _: "attrs.Attribute[Any]", value: str) -> None:
    known = ["longest", "shortest", *mix.sources]
    if value not in known:
        hint = did_you_mean(value, known) or f"; expected one of {', '.join(known)}"
        raise ValueError(f"epoch: got {value!r}{hint}")


@attrs.frozen(kw_only=True)
class Mix(SourceGroup):
    """The samples of several `sources`, of which every update holds the same fractions.

    `ratios` are those of the sources (1 if not named), such as ``{a: 3, b: 1}``: they divide
    `train.batch` by largest remainders. Each source has its own order, and passes again if it is
    small. An epoch is one pass over the source `epoch`, or over the ``longest`` or ``shortest``,
    filled up to whole updates.

    Classes of one name in several sources may be different things, such as the subjects "12" of two
    sets. A label with such classes is listed in `shared` if they are the same, or in `separate`:
    then its classes begin with the name of the source. The rest is as in `concat`.

    >>> from pathlib import Path
    >>> from mtlkit.data import Table
    >>> a, b = (Table(file=Path(f"{name}.csv"), labels=("age",)) for name in "ab")
    >>> Mix(sources={"a": a, "b": b}, ratios={"a": 3}, epoch="a").label
    'source'
    """

    ratios: Mapping[str, float] = attrs.field(factory=dict, validator=[of_sources, each(above(0))])
    epoch: str = attrs.field(default="longest", validator=_epoch)
    shared: tuple[str, ...] = ()
    separate: tuple[str, ...] = ()

    def joined(self, loaded: Mapping[str, Data]) -> Data:
        self._require_labels(loaded)
        separate = {name: self._separated(name, data) for name, data in loaded.items()}
        self._refuse_collisions(separate)
        data = concat_data(separate, self.label)
        train = [name for name, part in loaded.items() if len(part.train)]
        ratios = {name: self.ratios.get(name, 1.0) for name in train}
        mixture = Mixture(label=self.label, ratios=ratios, epoch=self.epoch)
        return attrs.evolve(data, train=attrs.evolve(data.train, mixture=mixture))

    def _require_labels(self, loaded: Mapping[str, Data]) -> None:
        known = list(dict.fromkeys(name for data in loaded.values() for name in _classes(data)))
        for option in ("shared", "separate"):
            for label in getattr(self, option):
                if label not in known:
                    raise DataError(
                        f"data.{option}: got {label!r}, expected a class label: {shortened(known)}"
                    )

    def _separated(self, source: str, data: Data) -> Data:
        """Return `data` with the source in the classes of the labels in `separate`."""

        def split(part: Split) -> Split:
            columns = dict(part.columns)
            for label in self.separate:
                if isinstance(column := columns.get(label), Categorical):
                    names = tuple(f"{source}/{name}" for name in column.names)
                    columns[label] = Categorical(column.codes, names)
            return attrs.evolve(part, columns=columns)

        return data.with_splits({name: split(part) for name, part in data.splits().items()})

    def _refuse_collisions(self, loaded: Mapping[str, Data]) -> None:
        """Raise `DataError` if two sources have a class of one name that may be two things."""
        owners: dict[str, tuple[str, frozenset[str]]] = {}
        for source, data in loaded.items():
            for label, names in _classes(data).items():
                if label in self.shared:
                    continue
                first, before = owners.setdefault(label, (source, frozenset()))
                common = sorted(before & names)
                if common:
                    raise DataError(
                        f"data.sources.{source}: the label {label!r} got the classes "
                        f"{shortened(common)}, which {first} has too; expected different ones, so "
                        f"list the label in `shared` if they mean the same, or in `separate`"
                    )
                owners[label] = (first, before | names)


def _classes(data: Data) -> dict[str, frozenset[str]]:
    """Return the names of classes of each class label, in all splits."""
    classes: dict[str, frozenset[str]] = {}
    for split in data.splits().values():
        for label, column in split.columns.items():
            if isinstance(column, Categorical):
                classes[label] = classes.get(label, frozenset()) | frozenset(column.names)
    return classes
