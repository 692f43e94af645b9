"""Tables of the metrics of each class, label or component of a task."""

import math
from collections.abc import Iterator, Mapping

from mtlkit.report.blocks import TableBlock

MOST_PARTS = 200
"""Largest number of parts for which a table is shown; a task may have thousands of classes."""


def part_tables(
    split: str, parts: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> Iterator[TableBlock]:
    """Yield a table for each task, from the parts by task and metric.

    >>> [table] = part_tables("test", {"scene": {"f1": {"road": 0.5, "sky": 1.0}}})
    >>> table.header, table.rows
    (('', 'f1'), (('road', 0.5), ('sky', 1.0)))
    """
    for task, metrics in parts.items():
        names = list(dict.fromkeys(name for values in metrics.values() for name in values))
        if len(names) > MOST_PARTS:
            continue
        yield TableBlock(
            header=("", *metrics),
            rows=tuple(
                (name, *(values.get(name, math.nan) for values in metrics.values()))
                for name in names
            ),
            caption=f"{task} ({split}): metrics of each class, label or component.",
            folded=True,
        )
