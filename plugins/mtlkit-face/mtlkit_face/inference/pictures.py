"""Embed image files, and collect the ones that cannot be read."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import torch
from PIL import Image
from torch import Tensor

from mtlkit.data import Loading, Region, is_utf8, read_images
from mtlkit.plugins import DataError
from mtlkit_face.inference.model import FaceModel

CHUNK = 256
"""Number of files read at a time, which bounds memory."""

Progress = Callable[[int, int], None]
"""Called with the number of files done and the total."""


@attrs.frozen(eq=False, kw_only=True)
class Embedded:
    """Templates (N, K) of `files`, and the unreadable files, each with the reason."""

    files: tuple[Path, ...]
    templates: Tensor
    unreadable: tuple[tuple[Path, str], ...]


@attrs.frozen(kw_only=True)
class ImageFiles:
    """Image files, and other files in the same folders."""

    files: tuple[Path, ...]
    other: tuple[Path, ...]


def find_images(paths: Iterable[Path]) -> ImageFiles:
    """Return the files of `paths`, with folders replaced by the images below them, sorted by name.

    Files of `paths` are included whatever their suffix; files in folders that lack the suffix of an
    image are returned in `other`. Duplicates are dropped. Raises `DataError` if a path is missing,
    or if no image remains.
    """
    files: dict[str, Path] = {}
    other: list[Path] = []
    suffixes = set(Image.registered_extensions())
    paths = tuple(paths)
    for path in paths:
        if path.is_dir():
            for inner in sorted(inner for inner in path.rglob("*") if inner.is_file()):
                if inner.suffix.lower() in suffixes:
                    files.setdefault(os.path.abspath(inner), inner)
                else:
                    other.append(inner)
        elif path.exists():
            files.setdefault(os.path.abspath(path), path)
        else:
            raise DataError(f"{path}: no such file or folder; expected images, or folders of them")
    if not files:
        raise DataError(
            f"{', '.join(map(str, paths)) or 'no path'}: no image found; expected files such as "
            f"a.png or b.jpg"
        )
    return ImageFiles(files=tuple(files.values()), other=tuple(other))


def embed_files(
    model: FaceModel,
    files: Sequence[Path],
    progress: Progress = lambda _done, _total: None,
    table: Path | None = None,
) -> Embedded:
    """Embed image files, which are read, rotated upright and framed as in training.

    Faces are not detected: each image must show one face. If the training images were cut out by
    boxes or landmarks, `table` has those of `files`, relative to the table; without it, the images
    are taken as cut out already. Raises `DataError` for a table that the model cannot use.
    """
    regions, unframed = _regions(model, files, table)
    templates: list[Tensor] = [torch.empty(0, model.size)]
    readable: list[Path] = []
    unreadable: list[tuple[Path, str]] = []
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        chosen = regions and regions[start : start + CHUNK]
        pixels, faults = read_images(chunk, model.frame, Loading(), regions=chosen)
        faults |= {i - start: why for i, why in unframed.items() if i - start in range(len(chunk))}
        assert pixels is not None, "a chunk fits into memory"
        odd = [index for index, path in enumerate(chunk) if not is_utf8(str(path))]
        faults |= dict.fromkeys(odd, "its path is not UTF-8; rename it")
        kept = [index for index in range(len(chunk)) if index not in faults]
        templates.append(model.embed(pixels[kept]))
        readable += [chunk[index] for index in kept]
        unreadable += [(chunk[index], reason) for index, reason in sorted(faults.items())]
        progress(start + len(chunk), len(files))
    return Embedded(
        files=tuple(readable), templates=torch.cat(templates), unreadable=tuple(unreadable)
    )


def _regions(
    model: FaceModel, files: Sequence[Path], table: Path | None
) -> tuple[list[Region | None] | None, dict[int, str]]:
    """Return the regions of `files` in `table`, and the reasons of those without one."""
    if table is None:
        return None, {}
    option = model.region_table
    if option is None:
        raise DataError(
            f"{table}: the images of {model.folder.path} were not cut out by boxes or landmarks, "
            f"so new ones are not; align them as those were (`mtlkit face align`), and leave out "
            f"--regions"
        )
    names = [os.path.relpath(file, table.parent).replace(os.sep, "/") for file in files]
    return option.regions(table, names, model.frame)
