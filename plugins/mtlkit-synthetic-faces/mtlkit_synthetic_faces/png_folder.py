"""A rendered set as a folder of PNG files with a table of labels and a contact sheet."""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.plan import Rows
from mtlkit_synthetic_faces.protocol import EXPRESSIONS
from mtlkit_synthetic_faces.rendered import RenderedSet
from mtlkit_synthetic_faces.sheet import contact_sheet

COLUMNS = ("file", "subject", "session", "yaw", "light", "expression")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error of the disk name the file that was to be `path`."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _save(picture: npt.NDArray[np.uint8], path: Path) -> None:
    """Write (H,W,C) as a PNG."""
    from PIL import Image

    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(path)


def _file_name(rows: Rows, i: int) -> str:
    subject = f"{rows.subject[i]:05d}"
    shown = f"d{rows.session[i]}_p{rows.pose[i]:02d}_l{rows.light[i]:02d}"
    return f"{subject}/{subject}_{shown}_{EXPRESSIONS[rows.expression[i]]}.png"


def _write_labels(rows: Rows, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i in range(len(rows)):
            numbers = (rows.subject[i], rows.session[i], rows.yaw[i], rows.light[i])
            expression = EXPRESSIONS[rows.expression[i]]
            writer.writerow((_file_name(rows, i), *map(int, numbers), expression))


def write_png_folder(rendered: RenderedSet, out: Path) -> None:
    """Write one PNG a picture below `out`, `labels.csv` and `sheet.png`.

    Pictures of a subject share a folder; a file's name tells subject, day (session), pose, light
    and expression. All is written beside `out` and gets this name when it is complete; an error or
    Ctrl-C leaves nothing.

    Raises FileExistsError when `out` is not empty, NotADirectoryError when it is a file, OSError
    with the file's name when the disk refuses.
    """
    out = out.resolve()  # "." has no sibling
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out}: found a file, expected a new or empty folder")
    if out.is_dir() and any(out.iterdir()):
        count = sum(1 for _ in out.iterdir())
        raise FileExistsError(f"{out}: found {count} entries, expected a new or empty folder")
    made = out.with_name(f".{out.name}.{os.getpid()}")
    with _naming(out):
        made.mkdir(parents=True)
    try:
        _write(rendered, made, out)
        with _naming(out):
            if out.exists():
                out.rmdir()
            made.rename(out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _write(rendered: RenderedSet, made: Path, out: Path) -> None:
    """Write all files into `made`, which will be `out`."""
    rows = rendered.rows
    for i in range(len(rows)):
        name = _file_name(rows, i)
        with _naming(out / name):
            (made / name).parent.mkdir(exist_ok=True)
            _save(rendered.images[i].transpose(1, 2, 0), made / name)
    sheet = contact_sheet(rendered.faces)
    with _naming(out / "sheet.png"):
        _save(sheet, made / "sheet.png")
    with _naming(out / "labels.csv"):
        _write_labels(rows, made / "labels.csv")
