"""Align a folder of photographs into another folder, with a table of all results."""

import csv
import fnmatch
import glob
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import attrs
import numpy as np
from PIL import Image, ImageOps

from mtlkit.data import FORMATS, similarity, warp
from mtlkit.plugins import DataError, replaced_folder, write_file
from mtlkit_face.data.alignment import Points, Template
from mtlkit_face.data.landmarks import Landmarks
from mtlkit_face.data.listing import SUFFIXES, files_of
from mtlkit_face.data.stored_faces import chunks

TABLE = "alignment.csv"
COLUMNS = ("file", "aligned", "scale", "degrees", "residual", "failure")

Progress = Callable[[int, int], None]


@attrs.frozen
class AlignmentResult:
    """Result for a photograph: the aligned file, or the reason of the failure."""

    file: str
    aligned: str = ""
    scale: float = float("nan")
    degrees: float = float("nan")
    residual: float = float("nan")
    failure: str = ""
    kind: str = ""  # category of the failure


def align_folder(
    folder: Path,
    landmarks: Landmarks,
    template: Template,
    out: Path,
    *,
    workers: int,
    progress: Progress,
) -> Sequence[AlignmentResult]:
    """Align every image below `folder` into `out`, as a PNG of the same name.

    A name in `landmarks` with a ``*`` applies to all files that it matches, such as images of one
    moment under several lights. ``alignment.csv`` in `out` has a row for every image and for every
    name in `landmarks`. Raises `DataError` if `out` is not empty, if two images would have the same
    aligned file, or if two names in `landmarks` match one image. The folder appears when all is
    done; no file remains after an interruption.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: already exists; choose a new or empty folder")
    names = sorted(n for n in files_of(folder) if PurePosixPath(n).suffix.lower() in SUFFIXES)
    if not names:
        raise DataError(f"{folder}: contains no image")
    _require_unique(names)
    rows, unmatched = _matched(names, landmarks)
    out.parent.mkdir(parents=True, exist_ok=True)
    results: list[AlignmentResult] = []
    with replaced_folder(out) as partial:

        def align(name: str) -> AlignmentResult:
            row = rows.get(name, "")
            if row not in landmarks.points:
                reason = landmarks.without.get(row, "has no row of points")
                return AlignmentResult(name, failure=reason, kind="no points")
            return _align(folder, name, landmarks.points[row], template, partial)

        with ThreadPoolExecutor(workers) as pool:
            for chunk in chunks(len(names)):
                results += pool.map(align, names[chunk.start : chunk.stop])
                progress(chunk.stop, len(names))
        results += [
            AlignmentResult(
                name, failure=f"the image {folder / name} does not exist", kind="no image"
            )
            for name in unmatched
        ]
        _write_table(results, partial / TABLE)
    return results


def failure_counts(results: Sequence[AlignmentResult]) -> Mapping[str, int]:
    """Return the number of failures of each kind."""
    return Counter(result.kind for result in results if result.failure)


def _require_unique(names: Sequence[str]) -> None:
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
    """Return the name in `landmarks` that matches each image, and the names without an image."""
    images = set(names)
    rows: dict[str, str] = {}
    unmatched: list[str] = []
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(os.path.dirname(name), []).append(name)
    for row in (*landmarks.points, *landmarks.without):
        if "*" in row:
            pattern = "*".join(map(glob.escape, row.split("*")))  # only * is a wildcard
            matches = fnmatch.filter(by_folder.get(os.path.dirname(row), []), pattern)
        else:
            matches = [row] if row in images else []
        for name in matches:
            if name in rows:
                raise DataError(
                    f"{name} matches two rows of the table of landmarks, {rows[name]!r} and "
                    f"{row!r}, expected one; remove a row, or make the name with * more specific"
                )
            rows[name] = row
        unmatched += [] if matches else [row]
    return rows, sorted(unmatched)


def _align(
    folder: Path, name: str, points: Points, template: Template, out: Path
) -> AlignmentResult:
    try:
        transform = similarity(points, template.points)
        with Image.open(folder / name, formats=FORMATS) as opened:
            image = _eight_bits(ImageOps.exif_transpose(opened), template.channels)
            width, height = image.size
            inside = (points >= -0.5) & (points < np.array([width, height]) - 0.5)
            if not inside.all(axis=1).any():
                raise DataError(f"all points are outside of its {width} x {height} pixels")
            aligned = warp(image, transform, (template.size, template.size))
    except DataError as cause:
        return AlignmentResult(name, failure=str(cause), kind="points that cannot be aligned")
    except Exception as cause:  # decoders raise many types of exceptions for a damaged file
        reason = f"cannot be read: {type(cause).__name__}: {cause}"
        return AlignmentResult(name, failure=reason, kind="unreadable")
    path = out / _aligned(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    aligned.save(path)
    return AlignmentResult(
        name, _aligned(name), transform.scale, transform.degrees, transform.residual
    )


def _eight_bits(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # Pillow would clip them to white
        raise DataError("has pixels of more than 8 bits; convert it to 8 bits first")
    return image.convert("L" if channels == 1 else "RGB")


def _write_table(results: Sequence[AlignmentResult], path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(results))
    write_file(path, text.getvalue().encode())


def _cells(results: Sequence[AlignmentResult]) -> Iterator[tuple[str, ...]]:
    for result in results:
        numbers = (result.scale, result.degrees, result.residual)
        cells = [f"{number:.4f}" if number == number else "" for number in numbers]
        yield (result.file, result.aligned, *cells, result.failure)
