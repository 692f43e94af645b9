"""A folder of rendered sets that is never half-written and is checked before it is used again.

One set is one folder `faces-KEY` with `images.npy` and `manifest.json`. It is made under a
temporary name, flushed to the disk and then renamed, so that it exists whole or not at all; of two
processes that make the same set, the second finds the first one's and uses it.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.synthetic.face_set import FaceSet
from mtlkit_face.synthetic.head import HEAD_FILE

Images = npt.NDArray[np.uint8]
GENERATOR_VERSION = 2
"""To be raised with every change of what is rendered; a test on pinned pictures reminds of it."""
_LOG = logging.getLogger(__name__)
_IMAGES, _MANIFEST = "images.npy", "manifest.json"


def cache_key(faces: FaceSet) -> str:
    """The name of a set: a hash of its values, of the head model and of the generator's version.

    >>> cache_key(FaceSet()) == cache_key(FaceSet(seed=1))
    False
    """
    values = json.dumps(attrs.asdict(faces), sort_keys=True)
    head = hashlib.sha256(HEAD_FILE.read_bytes()).hexdigest()
    return hashlib.sha256(f"{GENERATOR_VERSION} {head} {values}".encode()).hexdigest()[:24]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reserve(path: Path) -> None:
    """Have the disk set aside all of a file; OSError where it is full.

    A full disk that is found only when a page of the map is written kills the process (SIGBUS).
    """
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def _fault(folder: Path, shape: tuple[int, ...]) -> str | None:
    """What is wrong with a stored set: "found ..., expected ...", or None when it is whole."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        expected = manifest["sha256"]
        stored = np.load(folder / _IMAGES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        return f"found an unreadable file ({error}), expected {_IMAGES} and {_MANIFEST}"
    if stored.shape != shape or stored.dtype != np.uint8:
        return f"found {stored.dtype} {stored.shape}, expected uint8 {shape}"
    found = _sha256(folder / _IMAGES)
    return None if found == expected else f"found sha256 {found}, expected {expected}"


def _load(folder: Path) -> Images:
    images: Images = np.load(folder / _IMAGES, mmap_mode="r", allow_pickle=False)
    return images


def _store(folder: Path, faces: FaceSet, shape: tuple[int, ...], fill: Callable[[Images], None]
           ) -> None:  # fmt: skip
    """Write images and manifest into a temporary folder and wait until they are on the disk."""
    path = folder / _IMAGES
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(path)
    fill(images)
    images.flush()
    del images
    _flush(path)
    manifest = {
        "sha256": _sha256(path),
        "generator": GENERATOR_VERSION,
        "faces": attrs.asdict(faces),
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _flush(folder / _MANIFEST)
    _flush(folder)


def _install(made: Path, final: Path, shape: tuple[int, ...]) -> None:
    """Give a finished folder its final name; a whole one that is already there stays."""
    try:
        made.rename(final)
    except OSError:
        if _fault(final, shape) is None:
            return  # another process made the same set meanwhile
        aside = Path(tempfile.mkdtemp(prefix=f".{final.name}.broken-", dir=final.parent))
        final.rename(aside / final.name)
        shutil.rmtree(aside, ignore_errors=True)
        made.rename(final)
    _flush(final.parent)


def cached_images(
    root: Path, faces: FaceSet, shape: tuple[int, ...], fill: Callable[[Images], None]
) -> tuple[Images, bool]:
    """The images of a set (a read-only memory map) and whether they were there already.

    `fill` renders into the array it is given; it runs when the set is missing or damaged. A
    damaged set is reported as a warning of the logger `mtlkit_face.synthetic.cache`.

    Raises OSError where the disk refuses; nothing is left of the set then.
    """
    final = root / f"faces-{cache_key(faces)}"
    if final.exists():
        fault = _fault(final, shape)
        if fault is None:
            return _load(final), True
        _LOG.warning("%s: %s; rendering the set again", final, fault)
    root.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=root))
    try:
        _store(made, faces, shape, fill)
        _install(made, final, shape)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return _load(final), False
