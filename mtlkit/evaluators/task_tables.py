"""Tables of the metrics of tasks: of many tasks in a few rows, and of the parts of a task."""

import math
from collections.abc import Iterator, Mapping, Sequence

from mtlkit.report.blocks import TableBlock
from mtlkit.report.folding import by_kind, fold

MOST_PARTS = 200
"""Largest number of parts for which a table is shown; a task may have thousands of classes."""


def folded_table(splits: Sequence[str], metrics: Mapping[str, float]) -> TableBlock:
    """Return mean and range over tasks of each metric ``split/task/metric`` in `splits`.

    >>> metrics = {"test/a/accuracy": 0.5, "test/b/accuracy": 0.7}
    >>> folded_table(["test"], metrics).rows
    (('accuracy, mean', 0.6), ('accuracy, lowest', 0.5), ('accuracy, highest', 0.7))
    """
    kinds = {
        split: by_kind(
            {
                name.removeprefix(f"{split}/"): value
                for name, value in metrics.items()
                if name.startswith(f"{split}/")
            }
        )
        for split in splits
    }
    rows: list[tuple[str | float, ...]] = []
    for kind in dict.fromkeys(kind for of_split in kinds.values() for kind in of_split):
        folds = [fold(kinds[split].get(kind, {})) for split in splits]
        for part in ("mean", "lowest", "highest"):
            numbers = (math.nan if one is None else getattr(one, part) for one in folds)
            rows.append((f"{kind}, {part}", *numbers))
    return TableBlock(
        header=("", *splits),
        rows=tuple(rows),
        caption="Mean and range over the tasks with labels; the table of all metrics at the end of "
        "the page has those of each task.",
    )


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
