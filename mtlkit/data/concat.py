"""Several data sources as one."""

from collections.abc import Mapping

import attrs

from mtlkit.data.dataset import Data
from mtlkit.data.joined.source_group import SourceGroup, concat_data


@attrs.frozen(kw_only=True)
class Concat(SourceGroup):
    """The samples of several `sources`, by name, whose inputs have one shape and normalization.

    A sample lacks the labels of the other sources: they are missing. A label that several sources
    have keeps its type, and the classes of all of them. `rename` gives labels of a source other
    names, as in ``{faces: {class: person}}``. Ids begin with the name of the source, and the class
    `label` of each sample is its source. Each split joins those of the sources that have it.

    >>> from pathlib import Path
    >>> from mtlkit.data import Table
    >>> a, b = (Table(file=Path(f"{name}.csv"), labels=(name,)) for name in "ab")
    >>> Concat(sources={"first": a, "second": b}).label
    'source'
    """

    def joined(self, loaded: Mapping[str, Data]) -> Data:
        return concat_data(loaded, self.label)
