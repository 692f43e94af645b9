"""Image files to templates: what can be read is embedded, what cannot is counted and named."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import torch
from PIL import Image
from torch import Tensor

from mtlkit.data import Loading, read_images
from mtlkit.plugins import DataError
from mtlkit_face.inference.model import FaceModel

PORTION = 256
"""Files read at a time, which bounds the memory that waits for the network."""

Progress = Callable[[int, int], None]
"""Told how many files are done, of how many."""


@attrs.frozen(eq=False, kw_only=True)
class Embedded:
    """Templates (N, K) of `files`, and of each unreadable file why it could not be read."""

    files: tuple[Path, ...]
    templates: Tensor
    unreadable: tuple[tuple[Path, str], ...]


@attrs.frozen(kw_only=True)
class Found:
    """The image files that were asked for, and what else lay in the folders among them."""

    files: tuple[Path, ...]
    other: tuple[Path, ...]


def find_images(asked: Iterable[Path]) -> Found:
    """The files of `asked`, folders replaced by the images in them and below, in order of name.

    A file that is named is taken whatever its name; in a folder, files whose suffix is none of an
    image's are set aside. A file that is asked for twice, in whatever spelling, is found once.
    Raises `DataError` for what is not there, and where no image is left.
    """
    files: dict[str, Path] = {}
    other: list[Path] = []
    suffixes = set(Image.registered_extensions())
    asked = tuple(asked)
    for path in asked:
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
            f"{', '.join(map(str, asked)) or 'nothing'}: no image was found; expected files such "
            f"as a.png or b.jpg"
        )
    return Found(files=tuple(files.values()), other=tuple(other))


def _silent(_done: int, _total: int) -> None:
    """Report nothing."""


def embed_files(model: FaceModel, files: Sequence[Path], progress: Progress = _silent) -> Embedded:
    """The templates of image files, which are read, turned upright and resized as in training.

    Faces are not looked for: an image is taken to show one face, aligned as those of the training.
    """
    parts: list[Tensor] = [torch.empty(0, model.size)]
    good: list[Path] = []
    unreadable: list[tuple[Path, str]] = []
    for start in range(0, len(files), PORTION):
        portion = files[start : start + PORTION]
        pixels, faults = read_images(portion, model.frame, Loading())
        assert pixels is not None, "a portion fits into memory"
        kept = [place for place in range(len(portion)) if place not in faults]
        parts.append(model.embed(pixels[kept]))
        good += [portion[place] for place in kept]
        unreadable += [(portion[place], reason) for place, reason in sorted(faults.items())]
        progress(start + len(portion), len(files))
    return Embedded(files=tuple(good), templates=torch.cat(parts), unreadable=tuple(unreadable))
