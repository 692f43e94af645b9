"""A folder of photographs aligned into another, and a table of what became of each."""

import csv
import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import attrs
import numpy as np
from PIL import Image, ImageOps

from mtlkit.data import FORMATS
from mtlkit.plugins import DataError
from mtlkit_face.data.alignment import Points, Template, similarity, warp
from mtlkit_face.data.landmarks import Landmarks
from mtlkit_face.data.listing import SUFFIXES, files_of
from mtlkit_face.data.stored_faces import portions

TABLE = "alignment.csv"
COLUMNS = ("file", "aligned", "scale", "degrees", "residual", "failure")

Progress = Callable[[int, int], None]


@attrs.frozen
class AlignmentResult:
    """What became of a photograph: the aligned file, or why there is none."""

    file: str
    aligned: str = ""
    scale: float = float("nan")
    degrees: float = float("nan")
    residual: float = float("nan")
    failure: str = ""
    kind: str = ""  # of the failure, in words that are the same for all of a kind


def align_folder(
    folder: Path,
    landmarks: Landmarks,
    template: Template,
    out: Path,
    *,
    workers: int,
    progress: Progress,
) -> Sequence[AlignmentResult]:
    """Align every image below `folder` into `out`, under the same name as a PNG.

    A name of `landmarks` with a ``*`` stands for all files that it matches, such as the pictures
    of one moment under several lights. ``alignment.csv`` in `out` has a row for every image and
    every name with landmarks: nothing is left out without a word. Raises `DataError` where `out`
    holds something, two images would be one file, or two names stand for one image.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already; choose a new or empty folder")
    names = sorted(n for n in files_of(folder) if PurePosixPath(n).suffix.lower() in SUFFIXES)
    if not names:
        raise DataError(f"{folder}: holds no image")
    _refuse_doubles(names)
    rows, strays = _matched(names, landmarks)
    out.mkdir(parents=True, exist_ok=True)

    def one(name: str) -> AlignmentResult:
        row = rows.get(name, "")
        if row not in landmarks.points:
            why = landmarks.without.get(row, "has no row of points")
            return AlignmentResult(name, failure=why, kind="no points")
        return _align(folder, name, landmarks.points[row], template, out)

    outcomes: list[AlignmentResult] = []
    with ThreadPoolExecutor(workers) as pool:
        for portion in portions(len(names)):
            outcomes += pool.map(one, names[portion.start : portion.stop])
            progress(portion.stop, len(names))
    outcomes += [
        AlignmentResult(name, failure=f"there is no image {folder / name}", kind="no image")
        for name in strays
    ]
    _write_table(outcomes, out / TABLE)
    return outcomes


def failure_counts(outcomes: Sequence[AlignmentResult]) -> Mapping[str, int]:
    """How many failures there are of each kind."""
    return Counter(outcome.kind for outcome in outcomes if outcome.failure)


def _refuse_doubles(names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name in names:
        aligned = _aligned(name)
        if aligned in first:
            raise DataError(
                f"{first[aligned]} and {name} would both become {aligned}; rename one of the two"
            )
        first[aligned] = name


def _aligned(name: str) -> str:
    return PurePosixPath(name).with_suffix(".png").as_posix()


def _matched(names: Sequence[str], landmarks: Landmarks) -> tuple[Mapping[str, str], list[str]]:
    """The name in `landmarks` that stands for each image, and those that stand for none."""
    there = set(names)
    rows: dict[str, str] = {}
    strays: list[str] = []
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(os.path.dirname(name), []).append(name)
    for row in (*landmarks.points, *landmarks.without):
        if "*" in row:
            pattern = "*".join(map(glob.escape, row.split("*")))  # a bracket is a bracket
            own = fnmatch.filter(by_folder.get(os.path.dirname(row), []), pattern)
        else:
            own = [row] if row in there else []
        for name in own:
            if name in rows:
                raise DataError(
                    f"{name} has two rows in the table of landmarks, {rows[name]!r} and {row!r}; "
                    f"which of them holds? Remove one, or write the name with the * more narrowly"
                )
            rows[name] = row
        strays += [] if own else [row]
    return rows, sorted(strays)


def _align(
    folder: Path, name: str, points: Points, template: Template, out: Path
) -> AlignmentResult:
    try:
        move = similarity(points, template.points)
        with Image.open(folder / name, formats=FORMATS) as opened:
            image = _eight_bits(ImageOps.exif_transpose(opened), template.channels)
            width, height = image.size
            inside = (points >= -0.5) & (points < np.array([width, height]) - 0.5)
            if not inside.all(axis=1).any():
                raise DataError(f"all points lie outside of its {width} x {height} pixels")
            picture = warp(image, move, template.size)
    except DataError as cause:
        return AlignmentResult(name, failure=str(cause), kind="points that cannot be aligned")
    except Exception as cause:  # a damaged file makes decoders raise nearly anything
        why = f"cannot be read: {type(cause).__name__}: {cause}"
        return AlignmentResult(name, failure=why, kind="unreadable")
    path = out / _aligned(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return AlignmentResult(name, _aligned(name), move.scale, move.degrees, move.residual)


def _eight_bits(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # Pillow would clip them to white
        raise DataError("has pixels of more than 8 bits; bring it to 8 bits first")
    return image.convert("L" if channels == 1 else "RGB")


def _write_table(outcomes: Sequence[AlignmentResult], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(outcomes))


def _cells(outcomes: Sequence[AlignmentResult]) -> Iterator[tuple[str, ...]]:
    for outcome in outcomes:
        numbers = (outcome.scale, outcome.degrees, outcome.residual)
        shown = [f"{number:.4f}" if number == number else "" for number in numbers]
        yield (outcome.file, outcome.aligned, *shown, outcome.failure)
