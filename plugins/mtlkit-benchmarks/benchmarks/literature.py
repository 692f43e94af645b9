"""The gains over the plain sum of losses in the published tables of `mtlkit_benchmarks`."""

import math

from mtlkit_benchmarks.published.tables import PublishedRow, PublishedTable, published_tables

PLAIN_SUM = ("LS", "EW", "Uniform", "Equal")
"""Names of the plain sum of the losses in papers."""

OTHER_NAMES = {"CAGrad .4": "CAGrad", "FairGrad \N{GREEK SMALL LETTER ALPHA}=2": "FairGrad"}
SHORT = {
    "nyuv2-segnet-mtan": "NYUv2, SegNet-MTAN",
    "nyuv2-segnet-mtan-libmtl": "NYUv2, the same in LibMTL",
    "nyuv2-deeplab": "NYUv2, DeepLab",
    "cityscapes-segnet-mtan": "Cityscapes, SegNet-MTAN",
    "cityscapes-deeplab": "Cityscapes, DeepLab",
    "cityscapes-three-tasks": "Cityscapes, 3 tasks",
    "qm9": "QM9",
    "qm9-libmtl": "QM9 in LibMTL",
    "qm9-retuned": "QM9, tuned again",
    "celeba": "CelebA",
    "office-31": "Office-31",
    "office-home": "Office-Home",
}
"""Tables with the delta-m of several methods, and their headers."""

FEWEST = 4
"""The fewest tables that a method must be in."""


def gains(table: PublishedTable) -> dict[str, float]:
    """Return the delta-m of each method minus that of the plain sum; above zero is better."""
    sign = 1 if table.delta.endswith("higher is better") else -1
    deltas = {OTHER_NAMES.get(row.method, row.method): sign * delta(table, row)
              for row in table.rows}  # fmt: skip
    plain = next(deltas[name] for name in PLAIN_SUM if name in deltas)
    return {
        method: value - plain
        for method, value in deltas.items()
        if method not in PLAIN_SUM and not math.isnan(value)
    }


def delta(table: PublishedTable, row: PublishedRow) -> float:
    """Return the printed delta-m, or the one of the row's metrics if it is absent or misprinted."""
    computed = table.computed(row)
    misprinted = row.remark.startswith("misprinted: the delta")
    return computed if math.isnan(row.delta) or misprinted else row.delta


def literature() -> dict[str, dict[str, float]]:
    """Return the gains by method and table, for methods in at least `FEWEST` tables."""
    tables = {table.name: gains(table) for table in published_tables() if table.name in SHORT}
    by_method: dict[str, dict[str, float]] = {}
    for name in SHORT:
        for method, value in tables[name].items():
            by_method.setdefault(method, {})[name] = value
    return {method: mine for method, mine in by_method.items() if len(mine) >= FEWEST}
