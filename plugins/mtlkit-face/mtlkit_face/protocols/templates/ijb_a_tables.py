"""The CSV tables of IJB-A, in folders of splits.

`IJB-A_11_sets/split1/verify_metadata_1.csv` has a row for each picture of each template, and
`verify_comparisons_1.csv` the pairs of templates; `IJB-A_1N_sets/split1/search_gallery_1.csv` and
`search_probe_1.csv` are the templates of a search; `train_1.csv` in both, the people to train on.
Template numbers are local to their split, subject numbers global (Klare et al., CVPR 2015).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from mtlkit.plugins import DataError
from mtlkit_face.data.input_files import read_lines
from mtlkit_face.protocols.pairs.pair_set import Indices

VERIFY, SEARCH = "IJB-A_11_sets", "IJB-A_1N_sets"

_REQUIRED = ("TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID")
_BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")


@attrs.frozen
class Sighting:
    """A row of a table: a face in a file. `box` is left, top, width, height, or None."""

    file: str
    sighting: str
    subject: int
    box: tuple[float, float, float, float] | None
    location: str


@attrs.frozen(eq=False)
class TemplateRows:
    """A template: its subject, and its sightings with the medium of each."""

    subject: int
    sightings: list[Sighting] = attrs.field(factory=list)
    media: list[str] = attrs.field(factory=list)


Templates = Mapping[int, TemplateRows]


@attrs.frozen(eq=False, kw_only=True)
class SplitTables:
    """One split: templates with the pairs (P, 2) of their numbers, and gallery and probes."""

    number: int
    verify: Templates
    comparisons: Indices
    gallery: Templates
    probes: Templates

    def sightings(self) -> Iterator[Sighting]:
        """Yield every row of the split."""
        for templates in (self.verify, self.gallery, self.probes):
            for template in templates.values():
                yield from template.sightings


def read_splits(protocol: Path) -> list[SplitTables]:
    """Read the splits below `protocol`; raises `DataError` for invalid or inconsistent tables."""
    numbers = _numbers(protocol / VERIFY)
    if _numbers(protocol / SEARCH) != numbers:
        raise DataError(
            f"{protocol}: {VERIFY} and {SEARCH} have different splits; expected the same in both"
        )
    return [_read_split(protocol, number) for number in numbers]


def _numbers(folder: Path) -> list[int]:
    try:
        names = [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError as cause:
        raise DataError(
            f"{folder}: cannot be read ({cause.strerror or cause}); expected the folders split1, "
            f"split2, ... of IJB-A. Correct the option `protocol`"
        ) from cause
    suffixes = [name.removeprefix("split") for name in names if name.startswith("split")]
    numbers = sorted(int(suffix) for suffix in suffixes if suffix.isdecimal())
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise DataError(
            f"{folder}: expected the folders split1, split2, ... without a gap, got "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    return numbers


def _read_split(protocol: Path, number: int) -> SplitTables:
    one, many = (protocol / kind / f"split{number}" for kind in (VERIFY, SEARCH))
    verify = _templates(one / f"verify_metadata_{number}.csv")
    split = SplitTables(
        number=number,
        verify=verify,
        comparisons=_comparisons(one / f"verify_comparisons_{number}.csv", verify),
        gallery=_templates(many / f"search_gallery_{number}.csv"),
        probes=_templates(many / f"search_probe_{number}.csv"),
    )
    _check_disjoint(one / f"train_{number}.csv", {"verify": verify})
    _check_disjoint(many / f"train_{number}.csv", {"gallery": split.gallery, "probe": split.probes})
    return split


def _check_disjoint(train: Path, tested: Mapping[str, Templates]) -> None:
    """Check that no training subject is tested in the split; some copies lack the table."""
    if not train.is_file():
        return
    trained = {template.subject for template in _templates(train).values()}
    for name, templates in tested.items():
        both = sorted({template.subject for template in templates.values()} & trained)
        if both:
            raise DataError(
                f"{train}: {len(both)} subjects are also in the {name} table of the split, such as "
                f"{both[0]}; expected people that are not tested"
            )


def _templates(path: Path) -> dict[int, TemplateRows]:
    """Read the templates of a table, by number."""
    lines = read_lines(path, "a table of IJB-A", "protocol")
    rows = csv.reader(lines)
    header = [name.strip().upper() for name in next(rows, [])]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise DataError(
            f"{path}:1: has no column {', '.join(missing)}; it has: {', '.join(header) or 'none'}"
        )
    templates: dict[int, TemplateRows] = {}
    for fields in rows:
        if not any(field.strip() for field in fields):
            continue
        location = f"{path}:{rows.line_num}"
        if len(fields) > len(header):
            raise DataError(f"{location}: expected {len(header)} fields, got {len(fields)}")
        row = dict(zip(header, (field.strip() for field in fields), strict=False))
        number, subject = (_number(row, key, location) for key in ("TEMPLATE_ID", "SUBJECT_ID"))
        template = templates.setdefault(number, TemplateRows(subject))
        if template.subject != subject:
            raise DataError(
                f"{location}: the template {number} is of the subject {template.subject} and of "
                f"{subject}"
            )
        template.sightings.append(_sighting(row, subject, location))
        template.media.append(row.get("MEDIA_ID", ""))
    if not templates:
        raise DataError(f"{path}: has no template")
    return templates


def _number(row: Mapping[str, str], key: str, location: str) -> int:
    if not row.get(key, "").isdecimal():
        raise DataError(f"{location}: {key}: expected a whole number, got {row.get(key, '')!r}")
    return int(row[key])


def _sighting(row: Mapping[str, str], subject: int, location: str) -> Sighting:
    if not row.get("FILE"):
        raise DataError(f"{location}: FILE: expected the name of a picture, got an empty field")
    return Sighting(
        file=row["FILE"],
        sighting=row.get("SIGHTING_ID", ""),
        subject=subject,
        box=_box(row, location),
        location=location,
    )


def _box(row: Mapping[str, str], location: str) -> tuple[float, float, float, float] | None:
    """Return left, top, width, height, or None if a cell is empty or the box has no area."""
    cells = [row.get(name, "") for name in _BOX]
    if not all(cells):
        return None
    try:
        left, top, width, height = (float(cell) for cell in cells)
    except ValueError as cause:
        raise DataError(f"{location}: {', '.join(_BOX)}: expected numbers, got {cells}") from cause
    if not np.isfinite([left, top, width, height]).all() or width <= 0 or height <= 0:
        return None
    return left, top, width, height


def _comparisons(path: Path, templates: Templates) -> Indices:
    pairs = []
    lines: Sequence[str] = read_lines(path, "pairs of templates", "protocol")
    for number, line in enumerate(lines, start=1):
        words = [word.strip() for word in line.split(",")]
        if not line.strip() or (number == 1 and not words[0].isdecimal()):
            continue  # some copies have a header
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            raise DataError(f"{path}:{number}: expected two templates, got {line.strip()!r}")
        pair = [int(word) for word in words]
        unknown = [template for template in pair if template not in templates]
        if unknown:
            raise DataError(
                f"{path}:{number}: the template {unknown[0]} is not in the split's metadata"
            )
        pairs.append(pair)
    if not pairs:
        raise DataError(f"{path}: has no pair of templates")
    return np.array(pairs, np.int64)
