"""Published rows next to those of a comparison or a run."""

import math
from collections.abc import Mapping, Sequence

import attrs

from mtlkit import Recipe
from mtlkit.evaluators import Block, Section, TableBlock, Text
from mtlkit_benchmarks.published.protocol import TrainingProtocol, differences, protocol_of
from mtlkit_benchmarks.published.tables import PublishedTable, mean_ranks, tables_of

OWN = "here: "
SINGLE_TASK = "single-task"


def published_sections(
    recipe: Recipe,
    metrics: Mapping[str, Mapping[str, float]],
    selection: str | None = None,
    searched: Mapping[str, Sequence[str]] | None = None,
) -> list[Section]:
    """Return a section for each published table of the recipe's data set.

    `metrics` are those of each method on the test split by name. `selection` is the rule by which
    they were selected, by default that of the recipe. `searched` are the settings of a method that
    differ from the recipe's; those of the weighting belong to the method, not to the protocol.
    """
    protocol = protocol_of(recipe)
    return [
        section(table, protocol, metrics, selection, searched)
        for table in tables_of(protocol.data, protocol.variant)
    ]


def section(
    table: PublishedTable,
    protocol: TrainingProtocol | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    selection: str | None = None,
    searched: Mapping[str, Sequence[str]] | None = None,
) -> Section:
    """Return a table with its protocol, and with own rows whether they are comparable."""
    blocks: list[Block] = [Text(text=described(table))]
    printed = {
        f"{OWN}{method}": table.printed(values) for method, values in (metrics or {}).items()
    }
    remarks = {
        f"{OWN}{method}": f"not comparable: other {', '.join(other)}"
        for method, names in (searched or {}).items()
        if (other := [name for name in names if not name.startswith("weighting.")])
    }
    if protocol is not None:
        measured = {name for values in (metrics or {}).values() for name in values}
        stated = attrs.evolve(protocol, selection=selection or protocol.selection)
        disagreements = differences(table, stated, measured)
        marked = ", except for the rows that are marked" if remarks else ""
        verdict = f"comparable{marked}: the protocol of the run is that of the table"
        if disagreements:
            verdict = f"not comparable: {'; '.join(disagreements)}"
            remarks = dict.fromkeys(printed, "not comparable")
        blocks.append(Text(text=verdict))
    return Section(
        title=f"Published: {table.title}", blocks=(*blocks, _rows(table, printed, remarks))
    )


def described(table: PublishedTable) -> str:
    """Return the protocol of a table in a sentence."""
    delta = f"delta-m {table.delta}" if table.baseline else "no delta-m"
    return (
        f"{table.network}, batch {table.batch}, {table.epochs} epochs; rule: {table.selection}; "
        f"{table.averages}; {delta}. {table.note}"
    )


def _rows(
    table: PublishedTable, measured: Mapping[str, tuple[float, ...]], remarks: Mapping[str, str]
) -> TableBlock:
    ranked = {row.method: row.values for row in table.rows if row.whole}
    ranked |= {
        name: values for name, values in measured.items() if name not in remarks and _known(values)
    }
    ranked.pop(table.baseline, None)
    ranks = mean_ranks(ranked, table.higher) if len(ranked) > 1 else {}
    base = measured.get(f"{OWN}{SINGLE_TASK}")
    rows = [
        (row.method, row.values, row.delta, table.computed(row), row.source, row.remark)
        for row in table.rows
    ]
    rows += [
        (name, values, math.nan, math.nan if base is None else table.delta_of(values, base),
         "this comparison", remarks.get(name, ""))
        for name, values in measured.items()
    ]  # fmt: skip
    shown = () if table.folded else table.columns
    return TableBlock(
        header=("method", *shown, "delta-m printed", "delta-m computed", "mean rank", "source",
                "remark"),
        rows=tuple(
            (method, *(map(_cell, values) if shown else ()), _cell(delta), _cell(computed),
             _cell(ranks.get(method, math.nan)), source, remark)
            for method, values, delta, computed, source, remark in rows
        ),
        caption="Mean ranks are those of the rows shown here that have every metric, without the "
        "baseline; they are not copied from print.",
    )  # fmt: skip


def _known(values: Sequence[float]) -> bool:
    return not any(map(math.isnan, values))


def _cell(value: float) -> float | None:
    return None if math.isnan(value) else value
