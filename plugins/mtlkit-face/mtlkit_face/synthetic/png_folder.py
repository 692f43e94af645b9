"""A rendered set as a folder of PNG files with a table of labels and a contact sheet."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtlkit_face.synthetic.protocol import EXPRESSIONS
from mtlkit_face.synthetic.rendered import RenderedSet
from mtlkit_face.synthetic.sheet import contact_sheet

COLUMNS = ("file", "subject", "session", "yaw", "light", "expression")


def _save(picture: npt.NDArray[np.uint8], path: Path) -> None:
    """Write (H,W,C) as a PNG."""
    from PIL import Image

    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(path)


def write_png_folder(rendered: RenderedSet, out: Path) -> None:
    """Write one PNG a picture below `out`, `labels.csv` and `sheet.png`.

    Pictures of a subject share a folder; a file's name tells subject, day (session), pose, light
    and expression. `labels.csv` comes last: a folder that has it is complete.

    Raises FileExistsError when `out` is not empty, NotADirectoryError when it is a file.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out}: found a file, expected a new or empty folder")
    if out.is_dir() and any(out.iterdir()):
        count = sum(1 for _ in out.iterdir())
        raise FileExistsError(f"{out}: found {count} entries, expected a new or empty folder")
    out.mkdir(parents=True, exist_ok=True)
    rows, table = rendered.rows, []
    for i in range(len(rows)):
        subject, session, light = (int(a[i]) for a in (rows.subject, rows.session, rows.light))
        expression = EXPRESSIONS[rows.expression[i]]
        folder = f"{subject:05d}"
        name = f"{folder}_d{session}_p{rows.pose[i]:02d}_l{light:02d}_{expression}.png"
        (out / folder).mkdir(exist_ok=True)
        _save(rendered.images[i].transpose(1, 2, 0), out / folder / name)
        line = (f"{folder}/{name}", subject, session, int(rows.yaw[i]), light, expression)
        table.append(line)
    _save(contact_sheet(rendered.faces), out / "sheet.png")
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(table)
