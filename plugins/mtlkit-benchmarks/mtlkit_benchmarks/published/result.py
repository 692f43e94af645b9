"""The results of a run next to the published ones, as lines of text."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mtlkit import Recipe, load_catalog, load_recipe
from mtlkit.evaluators import Section, TableBlock, Text
from mtlkit.plugins import DataError, did_you_mean
from mtlkit.runs import Run, number, open_run
from mtlkit_benchmarks.published.sections import published_sections, section
from mtlkit_benchmarks.published.tables import published_tables


def published_lines(name: str | None) -> Iterator[str]:
    """Yield the table `name`, or the name and title of each table."""
    tables = {table.name: table for table in published_tables()}
    if name is None:
        yield from (f"{table.name}: {table.title}" for table in tables.values())
        return
    if name not in tables:
        hint = did_you_mean(name, tables) or f"; expected one of {', '.join(tables)}"
        raise DataError(f"got the table {name!r}{hint}")
    yield from lines_of(section(tables[name]))


def result_lines(path: Path, last: int | None = None) -> Iterator[str]:
    """Yield the sections of all published tables of the run's data set, next to its results."""
    folder = open_run(path)
    recipe = load_recipe(folder.recipe, load_catalog())
    if last is None:
        metrics, selection = test_metrics(Run(folder.path)), None
    else:
        metrics = mean_of_last(folder.log, last)
        where = "test" if getattr(recipe.data, "validation", None) == "test" else "validation"
        selection = f"mean of the last {last} epochs on {where}"
    sections = published_sections(recipe, {_method(recipe): metrics}, selection)
    if not sections:
        raise DataError(f"{path}: no published results of its data set are known")
    for shown in sections:
        yield from lines_of(shown)
        yield ""


def test_metrics(run: Run) -> dict[str, float]:
    """Return the metrics of the test split by name, such as ``depth/mae``."""
    return {
        name.removeprefix("test/"): value
        for name, value in run.metrics.items()
        if name.startswith("test/")
    }


def mean_of_last(log: Path, count: int) -> dict[str, float]:
    """Return the means of each metric over the last `count` validations in a log."""
    try:
        events = [json.loads(line) for line in log.read_bytes().splitlines()]
        validations: Sequence[Mapping[str, float]] = [
            event["metrics"] for event in events if event["kind"] == "evaluation"
        ]
    except (OSError, ValueError, LookupError, TypeError) as cause:
        raise DataError(f"{log}: cannot be read as the log of a run: {cause}") from cause
    if len(validations) < count:
        raise DataError(f"{log}: got {len(validations)} validations, expected at least {count}")
    kept = validations[-count:]
    names = set(kept[0]).intersection(*kept)
    return {name: math.fsum(values[name] for values in kept) / count for name in sorted(names)}


def lines_of(shown: Section) -> Iterator[str]:
    """Yield the title, the text and the table of a section."""
    yield shown.title
    for block in shown.blocks:
        if isinstance(block, Text):
            yield f"  {block.text}"
        elif isinstance(block, TableBlock):
            rows = [tuple(map(number, row)) for row in (block.header, *block.rows)]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            for row in rows:
                cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
                yield f"  {'  '.join(cells)}".rstrip()


def _method(recipe: Recipe) -> str:
    return type(recipe.weighting).__name__
