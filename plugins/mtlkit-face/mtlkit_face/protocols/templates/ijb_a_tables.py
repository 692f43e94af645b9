"""IJB-A: templates of many pictures, in folders of splits with tables in CSV.

`IJB-A_11_sets/split1/verify_metadata_1.csv` has a row for each picture of each template, and
`verify_comparisons_1.csv` the pairs of templates; `IJB-A_1N_sets/split1/search_gallery_1.csv` and
`search_probe_1.csv` are the templates of a search; `train_1.csv` in both, the people to train on.
A template's number means nothing outside of its split, a subject's is the same in all (Klare et
al., CVPR 2015).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from mtlkit.plugins import DataError
from mtlkit_face.data.input_files import read_lines
from mtlkit_face.protocols.pairs.pair_set import Places

VERIFY, SEARCH = "IJB-A_11_sets", "IJB-A_1N_sets"

_NEEDED = ("TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID")
_BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")


@attrs.frozen
class Sighting:
    """A row of a table: a face in a file. `box` is left, top, width, height, None where empty."""

    file: str
    sighting: str
    subject: int
    box: tuple[float, float, float, float] | None
    place: str


@attrs.frozen(eq=False)
class TemplateRows:
    """A template: who it shows, and its sightings with the medium of each."""

    subject: int
    sightings: list[Sighting] = attrs.field(factory=list)
    media: list[str] = attrs.field(factory=list)


Templates = Mapping[int, TemplateRows]


@attrs.frozen(eq=False, kw_only=True)
class SplitTables:
    """One split: templates with the pairs (P, 2) of their numbers, and gallery and probes."""

    number: int
    verify: Templates
    comparisons: Places
    gallery: Templates
    probes: Templates

    def sightings(self) -> Iterator[Sighting]:
        """Every row of the split."""
        for templates in (self.verify, self.gallery, self.probes):
            for template in templates.values():
                yield from template.sightings


def read_splits(protocol: Path) -> list[SplitTables]:
    """The splits below the folder `protocol`; `DataError` where a table is none or disagrees."""
    numbers = _numbers(protocol / VERIFY)
    if _numbers(protocol / SEARCH) != numbers:
        raise DataError(
            f"{protocol}: {VERIFY} and {SEARCH} have different splits; expected the same in both"
        )
    return [_read_split(protocol, number) for number in numbers]


def _numbers(folder: Path) -> list[int]:
    try:
        names = [each.name for each in folder.iterdir() if each.is_dir()]
    except OSError as cause:
        raise DataError(
            f"{folder}: cannot be read ({cause.strerror or cause}); expected the folders split1, "
            f"split2, ... of IJB-A. Correct the option `protocol`"
        ) from cause
    found = [name.removeprefix("split") for name in names if name.startswith("split")]
    numbers = sorted(int(number) for number in found if number.isdecimal())
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise DataError(
            f"{folder}: expected the folders split1, split2, ... without a gap, found "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    return numbers


def _read_split(protocol: Path, number: int) -> SplitTables:
    one, many = (protocol / kind / f"split{number}" for kind in (VERIFY, SEARCH))
    verify = _templates(one / f"verify_metadata_{number}.csv")
    found = SplitTables(
        number=number,
        verify=verify,
        comparisons=_comparisons(one / f"verify_comparisons_{number}.csv", verify),
        gallery=_templates(many / f"search_gallery_{number}.csv"),
        probes=_templates(many / f"search_probe_{number}.csv"),
    )
    _nobody_twice(one / f"train_{number}.csv", {"verify": verify})
    _nobody_twice(many / f"train_{number}.csv", {"gallery": found.gallery, "probe": found.probes})
    return found


def _nobody_twice(train: Path, tested: Mapping[str, Templates]) -> None:
    """Who is trained on is not tested in the same split; not every copy has the table."""
    if not train.is_file():
        return
    known = {template.subject for template in _templates(train).values()}
    for name, templates in tested.items():
        both = sorted({each.subject for each in templates.values()} & known)
        if both:
            raise DataError(
                f"{train}: {len(both)} subjects are in the {name} table of the same split too, "
                f"{both[0]} for one; expected people that are not tested"
            )


def _templates(path: Path) -> dict[int, TemplateRows]:
    """The templates of a table, by their numbers."""
    lines = read_lines(path, "a table of IJB-A", "protocol")
    rows = csv.reader(lines)
    header = [name.strip().upper() for name in next(rows, [])]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise DataError(
            f"{path}:1: has no column {', '.join(missing)}; it has: {', '.join(header) or 'none'}"
        )
    found: dict[int, TemplateRows] = {}
    for fields in rows:
        if not any(field.strip() for field in fields):
            continue
        place = f"{path}:{rows.line_num}"
        if len(fields) > len(header):
            raise DataError(f"{place}: expected {len(header)} fields, found {len(fields)}")
        row = dict(zip(header, (field.strip() for field in fields), strict=False))
        template, subject = (_number(row, key, place) for key in ("TEMPLATE_ID", "SUBJECT_ID"))
        own = found.setdefault(template, TemplateRows(subject))
        if own.subject != subject:
            raise DataError(
                f"{place}: the template {template} is of the subject {own.subject} and of {subject}"
            )
        own.sightings.append(_sighting(row, subject, place))
        own.media.append(row.get("MEDIA_ID", ""))
    if not found:
        raise DataError(f"{path}: has no template")
    return found


def _number(row: Mapping[str, str], key: str, place: str) -> int:
    if not row.get(key, "").isdecimal():
        raise DataError(f"{place}: {key}: expected a whole number, found {row.get(key, '')!r}")
    return int(row[key])


def _sighting(row: Mapping[str, str], subject: int, place: str) -> Sighting:
    if not row.get("FILE"):
        raise DataError(f"{place}: FILE: expected the name of a picture, found an empty field")
    return Sighting(
        file=row["FILE"],
        sighting=row.get("SIGHTING_ID", ""),
        subject=subject,
        box=_box(row, place),
        place=place,
    )


def _box(row: Mapping[str, str], place: str) -> tuple[float, float, float, float] | None:
    """Left, top, width, height; None where a cell is empty or the box has no area."""
    cells = [row.get(name, "") for name in _BOX]
    if not all(cells):
        return None
    try:
        left, top, width, height = (float(cell) for cell in cells)
    except ValueError as cause:
        raise DataError(f"{place}: {', '.join(_BOX)}: expected numbers, found {cells}") from cause
    if not np.isfinite([left, top, width, height]).all() or width <= 0 or height <= 0:
        return None
    return left, top, width, height


def _comparisons(path: Path, templates: Templates) -> Places:
    found = []
    lines: Sequence[str] = read_lines(path, "pairs of templates", "protocol")
    for number, line in enumerate(lines, start=1):
        words = [word.strip() for word in line.split(",")]
        if not line.strip() or (number == 1 and not words[0].isdecimal()):
            continue  # some copies have a header
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            raise DataError(f"{path}:{number}: expected two templates, found {line.strip()!r}")
        pair = [int(word) for word in words]
        unknown = [template for template in pair if template not in templates]
        if unknown:
            raise DataError(
                f"{path}:{number}: the template {unknown[0]} is not in the split's metadata"
            )
        found.append(pair)
    if not found:
        raise DataError(f"{path}: has no pair of templates")
    return np.array(found, np.int64)
