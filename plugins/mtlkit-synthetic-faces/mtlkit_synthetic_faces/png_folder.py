"""A rendered set as a folder of PNG files with a table of labels and a contact sheet."""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.cache import flush
from mtlkit_synthetic_faces.plan import FacePlan
from mtlkit_synthetic_faces.protocol import EXPRESSIONS
from mtlkit_synthetic_faces.rendered import RenderedSet
from mtlkit_synthetic_faces.sheet import contact_sheet

COLUMNS = ("file", "subject", "session", "yaw", "light", "expression")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise disk errors with the final name `path` of the file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _save(picture: npt.NDArray[np.uint8], path: Path) -> None:
    """Write a picture (H,W,C) as a PNG."""
    from PIL import Image

    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(path)


def _file_name(rows: FacePlan, i: int) -> str:
    subject = f"{rows.subject[i]:05d}"
    factors = f"d{rows.session[i]}_p{rows.pose[i]:02d}_l{rows.light[i]:02d}"
    return f"{subject}/{subject}_{factors}_{EXPRESSIONS[rows.expression[i]]}.png"


def _write_labels(rows: FacePlan, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i in range(len(rows)):
            numbers = (rows.subject[i], rows.session[i], rows.yaw[i], rows.light[i])
            expression = EXPRESSIONS[rows.expression[i]]
            writer.writerow((_file_name(rows, i), *map(int, numbers), expression))


def write_png_folder(rendered: RenderedSet, out: Path) -> None:
    """Write one PNG a picture below `out`, `labels.csv` and `sheet.png`.

    Pictures of a subject share a folder; a file's name holds subject, day (session), pose, light
    and expression. The folder is written next to `out`, synced, and renamed when complete; an error
    or Ctrl-C leaves nothing.

    Raises FileExistsError if `out` is not empty, NotADirectoryError if it is a file, and OSError
    with the file's name if the disk fails.
    """
    out = out.resolve()  # "." has no sibling
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out}: got a file, expected a new or empty folder")
    if out.is_dir() and any(out.iterdir()):
        count = sum(1 for _ in out.iterdir())
        raise FileExistsError(f"{out}: got {count} entries, expected a new or empty folder")
    temporary = out.with_name(f".partial-{out.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process
    with _naming(out):
        temporary.mkdir(parents=True)
    try:
        _write(rendered, temporary, out)
        with _naming(out):
            if out.exists():
                out.rmdir()
            temporary.rename(out)
            flush(out.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write(rendered: RenderedSet, temporary: Path, out: Path) -> None:
    """Write all files into `temporary`, which is renamed to `out` later."""
    rows = rendered.rows
    for i in range(len(rows)):
        name = _file_name(rows, i)
        with _naming(out / name):
            (temporary / name).parent.mkdir(exist_ok=True)
            _save(rendered.images[i].transpose(1, 2, 0), temporary / name)
    sheet = contact_sheet(rendered.faces)
    with _naming(out / "sheet.png"):
        _save(sheet, temporary / "sheet.png")
    with _naming(out / "labels.csv"):
        _write_labels(rows, temporary / "labels.csv")
    if os.name == "posix":
        os.sync()  # once, because a sync of each picture takes longer than its rendering
