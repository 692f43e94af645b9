"""The format ARFF of Weka: attributes, then a row in each line, dense or sparse."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from mtlkit.plugins import DataError
from mtlkit_benchmarks.trees.files import read_lines

_ATTRIBUTE = re.compile(r"@attribute\s+('(?:[^'\\]|\\.)*'|\"[^\"]*\"|\S+)\s+(.+)", re.IGNORECASE)
MISSING = "?"


@attrs.frozen
class Attribute:
    """A column: its name, and its values if it is nominal."""

    name: str
    values: tuple[str, ...] = ()


@attrs.frozen
class Arff:
    """The attributes of a file, and the cells of each row as text."""

    attributes: tuple[Attribute, ...]
    rows: Sequence[Sequence[str]]


def read_arff(path: Path) -> Arff:
    """Return the attributes and rows of a file; `DataError` names the line of a mistake."""
    attributes: list[Attribute] = []
    lines = enumerate(read_lines(path), start=1)
    for number, line in lines:
        text = line.strip()
        if text.lower().startswith("@attribute"):
            attributes.append(_attribute(f"{path}: line {number}", text))
        elif text.lower() == "@data":
            return Arff(tuple(attributes), list(_rows(path, lines, attributes)))
        elif text and not text.startswith("%") and not text.lower().startswith("@relation"):
            raise DataError(
                f"{path}: line {number}: got {text[:40]!r}, expected @attribute or @data"
            )
    raise DataError(f"{path}: has no @data")


def _attribute(place: str, text: str) -> Attribute:
    match = _ATTRIBUTE.fullmatch(text)
    if match is None:
        raise DataError(f"{place}: got {text[:40]!r}, expected @attribute NAME TYPE")
    name, kind = match[1], match[2].strip()
    name = name[1:-1].replace("\\", "") if name[0] in "'\"" else name
    if kind.startswith("{") and kind.endswith("}"):
        return Attribute(name, tuple(_cells(kind[1:-1])))
    if kind.split()[0].lower() not in ("numeric", "real", "integer"):
        raise DataError(f"{place}: got the type {kind!r}, expected numeric or {{values}}")
    return Attribute(name)


def _rows(
    path: Path, lines: Iterator[tuple[int, str]], attributes: Sequence[Attribute]
) -> Iterator[Sequence[str]]:
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("%"):
            continue
        cells = _sparse(text, attributes) if text.startswith("{") else _cells(text)
        if len(cells) != len(attributes):
            raise DataError(
                f"{path}: line {number}: got {len(cells)} cells, expected {len(attributes)}"
            )
        for attribute, cell in zip(attributes, cells, strict=True):
            if not _fits(attribute, cell):
                expected = (
                    f"one of {', '.join(attribute.values)}" if attribute.values else "a number"
                )
                raise DataError(
                    f"{path}: line {number}: got {cell!r} for {attribute.name}, expected {expected}"
                )
        yield cells


def _cells(text: str) -> list[str]:
    quote = "'" if "'" in text else '"'
    (row,) = csv.reader([text], skipinitialspace=True, quotechar=quote, escapechar="\\")
    return [cell.strip() for cell in row]


def _sparse(text: str, attributes: Sequence[Attribute]) -> list[str]:
    """Return the cells of ``{PLACE VALUE, ...}``; others are 0, or the first value."""
    cells = [attribute.values[0] if attribute.values else "0" for attribute in attributes]
    for pair in text.strip("{} ").split(","):
        place, _, value = pair.strip().partition(" ")
        if place.isdigit() and int(place) < len(cells):
            cells[int(place)] = value.strip()
        elif pair.strip():
            return []
    return cells


def _fits(attribute: Attribute, cell: str) -> bool:
    if cell == MISSING or cell in attribute.values:
        return True
    if attribute.values:
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True
